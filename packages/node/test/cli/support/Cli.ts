/** Runs `effect-ws` as its users do: as a process of its own, in a pipe or in a pseudo terminal. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"

const main = fileURLToPath(new URL("../../../src/cli/Main.ts", import.meta.url))
const patience = 30_000

const cleanups: Array<() => unknown> = []
afterAll(async () => {
  for (const clean of cleanups) await clean()
})

/** Does something when the tests of a file are over: those that run at the same time have no end of their own for it. */
export const later = (clean: () => unknown): void => void cleanups.push(clean)

export interface Result {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Program {
  readonly stdout: () => string
  readonly stderr: () => string
  /** Waits until stdout matches. */
  readonly shows: (pattern: RegExp) => Promise<RegExpExecArray>
  /** Waits until stderr matches. */
  readonly tells: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly type: (text: string) => void
  readonly endInput: () => void
  /** Closes the pipe behind stdout, as `head` does. */
  readonly stopReading: () => void
  /** The same for stderr. */
  readonly stopReadingErrors: () => void
  readonly kill: (signal: NodeJS.Signals) => void
  readonly ended: Promise<Result>
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>
  /** A file descriptor in place of the pipe. */
  readonly stdout?: number
}

const environment = (env: Options["env"] = {}): NodeJS.ProcessEnv => {
  const { FORCE_COLOR: _, NO_COLOR: _no, ...inherited } = process.env
  return { ...inherited, TERM: "xterm-256color", EFFECT_WS_HISTORY: "", ...env }
}

const follow = (child: ChildProcess, name: string): Program => {
  const output = { stdout: "", stderr: "" }
  const listeners = new Set<() => void>()
  const keep = (from: "stdout" | "stderr") => (chunk: string) => {
    output[from] += chunk
    for (const listener of listeners) listener()
  }
  child.stdout?.setEncoding("utf8").on("data", keep("stdout"))
  child.stderr?.setEncoding("utf8").on("data", keep("stderr"))
  // A program that is gone reads nothing more.
  child.stdin?.on("error", () => {})
  let isGone = false
  const ended = new Promise<Result>((resolve) =>
    child.on("close", (status) => {
      isGone = true
      resolve({ status, ...output })
      for (const listener of listeners) listener()
    })
  )
  later(async () => {
    child.kill("SIGKILL")
    await ended
  })
  const waitFor = (from: "stdout" | "stderr") => (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer)
        listeners.delete(check)
        act()
      }
      const fail = (why: string) =>
        settle(() => reject(new Error(`${name}: ${why} ${pattern} on ${from}; it wrote:\n${output.stdout}\n${output.stderr}`)))
      const check = () => {
        const match = pattern.exec(output[from])
        if (match !== null) settle(() => resolve(match))
        else if (isGone) fail("it ended without")
      }
      const timer = setTimeout(() => fail("it did not write in time"), patience)
      listeners.add(check)
      check()
    })
  return {
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    shows: waitFor("stdout"),
    tells: waitFor("stderr"),
    type: (text) => child.stdin?.write(text),
    endInput: () => child.stdin?.end(),
    stopReading: () => child.stdout?.destroy(),
    stopReadingErrors: () => child.stderr?.destroy(),
    kill: (signal) => child.kill(signal),
    ended
  }
}

/** Starts `effect-ws` with its input and output in pipes. */
export const start = (args: ReadonlyArray<string>, { env, stdout }: Options = {}): Program => {
  const child = spawn(process.execPath, [main, ...args], { env: environment(env), stdio: ["pipe", stdout ?? "pipe", "pipe"] })
  return follow(child, `effect-ws ${args.join(" ")}`)
}

/** Runs it to its end with this input. */
export const run = async (args: ReadonlyArray<string>, input = "", options: Options = {}): Promise<Result> => {
  const program = start(args, options)
  program.type(input)
  program.endInput()
  return await program.ended
}

/** Why there is no pseudo terminal; `undefined` where there is one. */
export const noTerminal = (): string | undefined => {
  const { error, stdout } = spawnSync("script", ["--version"], { encoding: "utf8" })
  return error === undefined && stdout.includes("util-linux") ? undefined : "there is no `script` of util-linux"
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** Starts it in a pseudo terminal of 100 columns. What it writes on stderr is among its stdout there. */
export const inTerminal = (args: ReadonlyArray<string>, { env }: Options = {}): Program => {
  const command = `stty cols 100 rows 30; exec ${[process.execPath, main, ...args].map(quoted).join(" ")}`
  const child = spawn("script", ["-qfec", command, "/dev/null"], { env: environment(env) })
  return follow(child, `effect-ws ${args.join(" ")} in a terminal`)
}

/** What a terminal shows, without colours and movements of the cursor. */
// oxlint-disable-next-line no-control-regex
export const plain = (text: string): string => text.replaceAll(/\u001B\[[0-9;?]*[A-Za-z]/g, "").replaceAll("\r", "")

/** A server of the tool itself, on a free port. */
export const serve = async (args: ReadonlyArray<string> = []): Promise<Program & { readonly url: string }> => {
  const program = start(["serve", "--port", "0", ...args])
  const [, url] = await program.shows(/Listening on (wss?:\/\/\S+)\n/)
  return { ...program, url: url! }
}
