/** The measured processes: started, asked what they used, stopped. */
import { spawn } from "node:child_process"
import { type AddressInfo, createServer } from "node:net"
import { fileURLToPath } from "node:url"
import { bunBinary, type Peer } from "./peers.ts"
import type { Usage } from "./probe.ts"

const probe = new URL("./probe.ts", import.meta.url).href
const patienceMillis = 20_000

export interface Subject {
  /** With `live`, what is alive is counted too, after full collections. */
  readonly usage: (asked?: { readonly live: boolean }) => Promise<Usage>
  /** Fails when the process ends without having been asked to. */
  readonly crashed: Promise<never>
  readonly output: () => string
  readonly stop: () => Promise<void>
}

// Where CPU profiles go, if any are wanted.
let profiles: string | undefined

/** From now on each process on Node leaves a CPU profile in that folder. */
export const profileInto = (folder: string): void => {
  profiles = folder
}

const commandOf = ({ file, name, runtime }: Peer): ReadonlyArray<string> => {
  const program = fileURLToPath(new URL(file, import.meta.url))
  if (runtime === "bun") return [bunBinary!, "--preload", fileURLToPath(probe), program]
  const profiling = profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${name}-${process.hrtime.bigint()}.cpuprofile`]
  return [process.execPath, ...profiling, "--import", probe, program]
}

/** Starts the program of a peer, with the probe in it. */
export const start = (peer: Peer, env: Readonly<Record<string, string>>): Subject => {
  const [command, ...args] = commandOf(peer)
  const child = spawn(command!, args, {
    env: { ...process.env, NO_COLOR: "1", ...env, EFFECT_WS_PROBE: "1" },
    stdio: ["ignore", "pipe", "pipe", "ipc"]
  })
  let output = ""
  let stopping = false
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output = (output + chunk).slice(-10_000)
    })
  }
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const crashed = new Promise<never>((_, reject) => {
    child.once("error", reject)
    child.once("close", (code, signal) => {
      if (!stopping) reject(new Error(`${peer.file} ended (${signal ?? code}); it printed:\n${output}`))
    })
  })
  // Each wait for the process is raced against this.
  crashed.catch(() => {})
  return {
    usage: (asked = { live: false }) =>
      Promise.race([
        crashed,
        new Promise<Usage>((resolve) => {
          child.once("message", (usage) => resolve(usage as Usage))
          child.send(asked)
        })
      ]),
    crashed,
    output: () => output,
    stop: async () => {
      stopping = true
      // A profile is written when the process ends by itself, as the probe lets it.
      if (profiles === undefined) child.kill("SIGKILL")
      else child.disconnect()
      await ended
    }
  }
}

/** A Redis of its own, which keeps nothing; `undefined` where none is installed. */
export const startRedis = async (): Promise<{ readonly url: string; readonly stop: () => void } | undefined> => {
  const port = await freePort()
  const child = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
  const started = await new Promise<boolean>((resolve) => {
    child.once("error", () => resolve(false))
    child.once("exit", () => resolve(false))
    child.stdout.on("data", (chunk: Buffer) => {
      if (chunk.includes("Ready to accept connections")) resolve(true)
    })
  })
  return started ? { url: `redis://127.0.0.1:${port}`, stop: () => child.kill("SIGKILL") } : undefined
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** Waits until a server says where it listens: `listening on ws://127.0.0.1:PORT`. */
export const listening = async (subject: Subject): Promise<number> => {
  const giveUp = Date.now() + patienceMillis
  while (Date.now() < giveUp) {
    const match = /listening on \w+:\/\/127\.0\.0\.1:(\d+)/.exec(subject.output())
    if (match !== null) return Number(match[1])
    await Promise.race([subject.crashed, new Promise((resolve) => setTimeout(resolve, 10))])
  }
  throw new Error(`a server did not listen in time; it printed:\n${subject.output()}`)
}
