/** The processes of a soak: each answers questions of the one that started it. */
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

interface Question {
  readonly id: number
  readonly command: string
  readonly argument: unknown
}

interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly failure?: string
}

/** What a process can be asked. */
export type Handlers = Readonly<Record<string, (argument: never) => unknown>>

/** In a started process: answers what it is asked, and ends with the one that started it. */
export const answer = (handlers: Handlers): void => {
  const reply = (answer: Answer) => process.send?.(answer)
  process.on("message", ({ argument, command, id }: Question) => {
    const handler = handlers[command]
    Promise.resolve()
      .then(() => {
        if (handler === undefined) throw new Error(`asked for "${command}"`)
        return handler(argument as never)
      })
      .then((result) => reply({ id, result }), (error) => reply({ id, failure: error instanceof Error ? error.stack ?? error.message : String(error) }))
  })
  process.on("disconnect", () => process.exit())
  reply({ id: 0 })
}

export interface Process {
  readonly name: string
  readonly ask: <A>(command: string, argument?: unknown) => Promise<A>
  /** Fails when the process ends without having been asked to. */
  readonly crashed: Promise<never>
  readonly stop: () => Promise<void>
}

const outputOf = (child: ChildProcess): () => string => {
  let output = ""
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output = (output + chunk).slice(-10_000)
    })
  }
  return () => output
}

/** Starts a program, by its path or URL, on the Node that runs this; resolves once it answers. */
export const start = async (name: string, file: string | URL, environment: Readonly<Record<string, string>>): Promise<Process> => {
  const path = typeof file === "string" ? file : fileURLToPath(file)
  const child = spawn(process.execPath, [path], {
    env: { ...process.env, NO_COLOR: "1", ...environment },
    stdio: ["ignore", "pipe", "pipe", "ipc"]
  })
  const output = outputOf(child)
  let stopping = false
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const crashed = new Promise<never>((_, reject) => {
    child.once("error", reject)
    child.once("close", (code, signal) => {
      if (!stopping) reject(new Error(`the process "${name}" ended (${signal ?? code}); it printed:\n${output()}`))
    })
  })
  // Each wait for the process is raced against this.
  crashed.catch(() => {})
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let last = 0
  const ready = Promise.withResolvers<unknown>()
  waiting.set(0, ready)
  child.on("message", ({ failure, id, result }: Answer) => {
    const waiter = waiting.get(id)
    waiting.delete(id)
    if (failure === undefined) waiter?.resolve(result)
    else waiter?.reject(new Error(`${name}: ${failure}`))
  })
  const stop = async () => {
    stopping = true
    child.kill("SIGKILL")
    await ended
  }
  try {
    await Promise.race([ready.promise, crashed])
  } catch (error) {
    await stop()
    throw error
  }
  return {
    name,
    ask: <A>(command: string, argument: unknown = null) => {
      const waiter = Promise.withResolvers<unknown>()
      waiting.set(++last, waiter)
      child.send({ id: last, command, argument } satisfies Question)
      return Promise.race([waiter.promise, crashed]) as Promise<A>
    },
    crashed,
    stop
  }
}
