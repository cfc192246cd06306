/** The measured processes: started, asked what they used, stopped. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { bunBinary, type Peer } from "./peers.ts"
import type { Usage } from "./probe.ts"

const probe = new URL("./probe.ts", import.meta.url).href
const patienceMillis = 20_000

export interface Subject {
  readonly usage: () => Promise<Usage>
  /** Fails when the process ends without having been asked to. */
  readonly crashed: Promise<never>
  readonly output: () => string
  readonly stop: () => Promise<void>
}

const commandOf = ({ runtime }: Peer): readonly [command: string, preload: string] =>
  runtime === "bun" ? [bunBinary!, "--preload"] : [process.execPath, "--import"]

/** Starts the program of a peer, with the probe in it. */
export const start = (peer: Peer, env: Readonly<Record<string, string>>): Subject => {
  const { file, runtime } = peer
  const [command, preload] = commandOf(peer)
  const child = spawn(command, [preload, runtime === "bun" ? fileURLToPath(probe) : probe, fileURLToPath(new URL(file, import.meta.url))], {
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
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const crashed = new Promise<never>((_, reject) => {
    child.once("error", reject)
    child.once("close", (code, signal) => {
      if (!stopping) reject(new Error(`${file} ended (${signal ?? code}); it printed:\n${output}`))
    })
  })
  // Whoever waits for something of the process races it against this.
  crashed.catch(() => {})
  return {
    usage: () =>
      Promise.race([
        crashed,
        new Promise<Usage>((resolve) => {
          child.once("message", (usage) => resolve(usage as Usage))
          child.send({})
        })
      ]),
    crashed,
    output: () => output,
    stop: async () => {
      stopping = true
      child.kill("SIGKILL")
      await ended
    }
  }
}

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
