/**
 * A Redis of its own for a test: `redis-server` on a free port, in a temporary directory, gone with the scope. It can be stopped
 * as a machine or an operator does it, and started again with its data or without.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeRedis } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export type RESP = 2 | 3

/** `REDIS_SERVER` and `REDIS_CLI` name other programs, of Valkey for example. */
const program = process.env["REDIS_SERVER"] ?? "redis-server"
export const cli = process.env["REDIS_CLI"] ?? "redis-cli"
/** Why there is no Redis here, or `undefined` if there is one. */
export const missing: string | undefined = (() => {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" })
    return undefined
  } catch {
    return `${program} is not installed`
  }
})()

export interface RedisServer {
  readonly port: number
  readonly url: string
  /** The process that runs now. */
  readonly pid: () => number
  /** A client for the `Redis` service. */
  readonly layer: (resp?: RESP) => ReturnType<typeof NodeRedis.layer>
  /** `SIGKILL`, and the end of the process. */
  readonly kill: Effect.Effect<void>
  /** Starts it again, on the same port and with what its directory holds. */
  readonly start: Effect.Effect<void>
  /** Empties its directory while it does not run: what it starts with is nothing. */
  readonly wipe: Effect.Effect<void>
  /** Keeps a copy of its directory, and puts that in the place of the directory while it does not run. */
  readonly snapshot: Effect.Effect<void>
  readonly restore: Effect.Effect<void>
  /** `SIGSTOP` and `SIGCONT`: it is there, and does nothing. It goes on at the end of the scope, so that clients can end. */
  readonly pause: Effect.Effect<void, never, Scope.Scope>
  readonly resume: Effect.Effect<void>
  /** A command by `redis-cli`'s protocol, as an operator sends it. */
  readonly command: (...args: ReadonlyArray<string>) => Effect.Effect<string>
}

/** A port that was free a moment ago. */
const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Runs a `redis-server` until the scope ends. By default each write is on disk before it is answered. */
export const make = (options: { readonly args?: ReadonlyArray<string>; readonly port?: number } = {}): Effect.Effect<RedisServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const port = options.port ?? (yield* freePort)
    const directory = mkdtempSync(join(tmpdir(), "effect-ws-redis-"))
    const data = join(directory, "data")
    const copy = join(directory, "copy")
    mkdirSync(data)
    let child: ChildProcess | undefined
    const args = [
      "--port", `${port}`, "--bind", "127.0.0.1", "--dir", data, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
      ...options.args ?? []
    ]
    const ended = (child: ChildProcess) =>
      child.exitCode !== null || child.signalCode !== null
        ? Effect.void
        : Effect.callback<void>((resume) => void child.once("exit", () => resume(Effect.void)))
    const start = Effect.callback<void>((resume) => {
      const started = child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
      let output = ""
      const onOutput = (chunk: Buffer) => {
        output += chunk.toString()
        if (/ready to accept connections/i.test(output)) resume(Effect.void)
      }
      started.stdout.on("data", onOutput)
      started.stderr.on("data", onOutput)
      started.once("exit", (code) => resume(Effect.die(new Error(`${program} ended with ${code}: ${output}`))))
    })
    const signal = (name: NodeJS.Signals) => Effect.sync(() => void child?.kill(name))
    const kill = Effect.suspend(() => {
      const killed = child
      if (killed === undefined) return Effect.void
      killed.kill("SIGKILL")
      return ended(killed)
    })
    yield* Effect.acquireRelease(start, () =>
      Effect.andThen(kill, Effect.sync(() => rmSync(directory, { recursive: true, force: true }))))
    return {
      port,
      url: `redis://127.0.0.1:${port}`,
      pid: () => child!.pid!,
      layer: (resp = 2) => NodeRedis.layer({ url: `redis://127.0.0.1:${port}`, RESP: resp }),
      kill,
      start,
      wipe: Effect.sync(() => {
        rmSync(data, { recursive: true, force: true })
        mkdirSync(data)
      }),
      snapshot: Effect.sync(() => cpSync(data, copy, { recursive: true })),
      restore: Effect.sync(() => {
        rmSync(data, { recursive: true, force: true })
        cpSync(copy, data, { recursive: true })
      }),
      pause: Effect.acquireRelease(signal("SIGSTOP"), () => signal("SIGCONT")),
      resume: signal("SIGCONT"),
      command: (...command) => Effect.sync(() => execFileSync(cli, ["-p", `${port}`, ...command], { encoding: "utf8" }).trim())
    }
  })
