/** V8's precise coverage: how often each piece of code has run, since it was asked before. */
import { Session } from "node:inspector"

export interface ScriptCoverage {
  readonly url: string
  readonly functions: ReadonlyArray<{ readonly ranges: ReadonlyArray<{ readonly startOffset: number; readonly count: number }> }>
}

export interface Profiler {
  readonly take: () => ReadonlyArray<ScriptCoverage>
  readonly stop: () => void
}

export const start = (): Profiler => {
  const session = new Session()
  session.connect()
  // Posts are answered at once.
  const post = (method: string, params: object = {}): unknown => {
    let answer: unknown
    session.post(method, params, (error: Error | null, result: unknown) => {
      if (error !== null) throw error
      answer = result
    })
    return answer
  }
  post("Profiler.enable")
  post("Profiler.startPreciseCoverage", { callCount: true, detailed: true })
  return {
    take: () => (post("Profiler.takePreciseCoverage") as { readonly result: ReadonlyArray<ScriptCoverage> }).result,
    stop: () => {
      post("Profiler.stopPreciseCoverage")
      session.disconnect()
    }
  }
}
