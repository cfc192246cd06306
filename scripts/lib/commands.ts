/** Running other programs from the scripts of this folder. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** The repository's folder. */
export const root = fileURLToPath(new URL("../..", import.meta.url))

/** Where a development dependency's program is. */
export const bin = (name: string): string => join(root, "node_modules/.bin", name)

export interface RunResult {
  readonly status: number
  readonly output: string
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Keep the output instead of showing it. */
  readonly quiet?: boolean
}

/** Runs a program without a shell and waits for it. */
export const run = (command: string, args: ReadonlyArray<string>, options: RunOptions): Promise<RunResult> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: options.quiet === true ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"]
    })
    let output = ""
    const keep = (chunk: Buffer) => {
      output += chunk.toString()
    }
    child.stdout?.on("data", keep)
    child.stderr?.on("data", keep)
    child.on("error", reject)
    child.on("close", (status) => resolve({ status: status ?? 1, output }))
  })

/**
 * Runs the TypeScript compiler with Effect's diagnostics (floating effects, untyped failures, ...) built in. It lies in
 * `@effect/tsgo`; running it there needs no patching of the installed `typescript`.
 */
export const tsc = async (args: ReadonlyArray<string>, options: RunOptions): Promise<RunResult> => {
  const found = await run(bin("effect-tsgo"), ["get-exe-path"], { cwd: root, quiet: true })
  if (found.status !== 0) throw new Error(`@effect/tsgo has no compiler for this machine:\n${found.output}`)
  return run(found.output.trim(), args, options)
}

/** Ends this script as the program it ran ended. */
export const exitWith = (result: RunResult): void => {
  process.exitCode = result.status
}
