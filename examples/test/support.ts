/** Runs an example as its users do: as a process of its own. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { onTestFinished } from "vitest"

const examples = new URL("../", import.meta.url)
const defaultPatience = 30_000

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Program {
  /** Everything that was printed so far, on stdout and stderr. */
  readonly output: () => string
  /** Everything that was printed so far on stdout, in whole lines. */
  readonly lines: () => ReadonlyArray<string>
  /** Waits until the output matches. */
  readonly waitFor: (pattern: RegExp) => Promise<RegExpExecArray>
  /** Waits until so many lines were printed on stdout. */
  readonly waitForLines: (count: number) => Promise<void>
  /** Types a line. */
  readonly type: (line: string) => void
  /** Ends the input: Ctrl-D. */
  readonly endInput: () => void
  readonly kill: (signal: NodeJS.Signals) => void
  readonly exited: Promise<Exit>
}

export interface Options {
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** The runtime, and its arguments before the file. Default: this Node. */
  readonly runtime?: readonly [command: string, ...args: ReadonlyArray<string>]
  /** How long it may take until its output matches, in milliseconds. */
  readonly patience?: number
}

/** Starts `examples/<file>`; it is stopped when the test is over. */
export const run = (file: string, { args = [], env = {}, patience = defaultPatience, runtime = [process.execPath] }: Options = {}): Program => {
  const [command, ...before] = runtime
  const child = spawn(command, [...before, fileURLToPath(new URL(file, examples)), ...args], {
    env: { ...process.env, NO_COLOR: "1", ...env }
  })
  let output = ""
  let printed = ""
  const listeners = new Set<() => void>()
  const note = (chunk: string) => {
    output += chunk
    for (const listener of listeners) listener()
  }
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    printed += chunk
    note(chunk)
  })
  child.stderr.setEncoding("utf8").on("data", note)
  // A program that is gone reads nothing more.
  child.stdin.on("error", () => {})
  let gone = false
  const exited = new Promise<Exit>((resolve) =>
    child.on("close", (code, signal) => {
      gone = true
      resolve({ code, signal })
      note("")
    })
  )
  onTestFinished(async () => {
    child.kill("SIGKILL")
    await exited
  })
  const until = <A>(what: string, look: () => A | null) =>
    new Promise<A>((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer)
        listeners.delete(check)
        act()
      }
      const check = () => {
        const found = look()
        if (found !== null) settle(() => resolve(found))
        else if (gone) settle(() => reject(new Error(`${file} ended without ${what}; it printed:\n${output}`)))
      }
      const timer = setTimeout(
        () => settle(() => reject(new Error(`${file} did not print ${what} in time, but:\n${output}`))),
        patience
      )
      listeners.add(check)
      check()
    })
  return {
    output: () => output,
    lines: () => printed.split("\n").slice(0, -1),
    waitFor: (pattern) => until(String(pattern), () => pattern.exec(output)),
    waitForLines: async (count) => {
      let lines = 0
      let at = 0
      await until(`${count} lines`, () => {
        for (let next = printed.indexOf("\n", at); next >= 0; next = printed.indexOf("\n", at)) {
          lines++
          at = next + 1
        }
        return lines >= count ? true : null
      })
    },
    type: (line) => child.stdin.write(`${line}\n`),
    endInput: () => child.stdin.end(),
    kill: (signal) => child.kill(signal),
    exited
  }
}

/** Starts an example that is a server, on a free port; gives its address. */
export const serve = async (
  file: string,
  env: Readonly<Record<string, string>> = {},
  options: Omit<Options, "env"> = {}
) => {
  const program = run(file, { ...options, env: { PORT: "0", ...env } })
  const [, scheme, port] = await program.waitFor(/^(?:listening|chat|board) on (wss?|http):\/\/127\.0\.0\.1:(\d+)$/m)
  return { ...program, port: Number(port), url: `${scheme}://127.0.0.1:${port}` }
}
