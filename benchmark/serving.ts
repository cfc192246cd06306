/** A measured server: its process, where it listens, and what a stretch of work cost it. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Address } from "./load/dial.ts"
import type { Flow } from "./load/flow.ts"
import { noFrames } from "./load/frames.ts"
import type { LinkOptions } from "./load/link.ts"
import type { Peer } from "./peers.ts"
import { usageOfThisProcess } from "./probe.ts"
import { listening, start, type Subject } from "./processes.ts"
import type { Workload } from "./workloads.ts"

/** What one run showed. */
export interface Sample {
  readonly cost: number
  readonly rate?: number
  /** Shares of a CPU: of the measured process, and of the load generator. */
  readonly busy?: number
  readonly loadBusy?: number
  readonly latencies?: ReadonlyArray<number>
  readonly residentBytes?: number
}

export interface Session {
  readonly sample: (millis: number) => Promise<Sample>
  readonly stop: () => Promise<void>
}

const tls = (name: string) => fileURLToPath(new URL(`../packages/node/test/support/tls/${name}`, import.meta.url))

export const environment = (workload: Workload, peer: Peer): Readonly<Record<string, string>> => ({
  PORT: "0",
  // Of the example, which refuses more than 1 MiB.
  MAX_MESSAGE_SIZE: String(16 * 1024 * 1024),
  ...peer.env,
  ..."deflated" in workload && workload.deflated === true && { COMPRESSION: "true" },
  ...workload.kind === "feed" && { RATE: String(workload.rate), SIZE: String(workload.size) },
  ...workload.transport === "tls" && { TLS_CERT: tls("server.pem"), TLS_KEY: tls("server.key") },
  ...workload.transport === "http2" && { HTTP2: "true", TLS_CERT: tls("server.pem"), TLS_KEY: tls("server.key") }
})

export const addressOf = ({ transport = "tcp" }: Workload, port: number): Address => ({
  port,
  transport,
  ca: transport === "tcp" ? undefined : readFileSync(tls("ca.pem"))
})

/** Of connections that send nothing of their own. */
export const silent: LinkOptions = { masked: true, deflated: false, frames: noFrames, order: "same" }

/** The CPU time of a process in a stretch of flow, for each of its messages. */
export const sampleOf = (subject: Pick<Subject, "usage" | "crashed">, flow: Flow) => async (millis: number): Promise<Sample> => {
  const before = await subject.usage()
  const loadBefore = usageOfThisProcess()
  const begin = performance.now()
  const { latencies, messages } = await Promise.race([flow.run(millis), subject.crashed])
  const micros = (performance.now() - begin) * 1000
  const loadAfter = usageOfThisProcess()
  const after = await subject.usage()
  const cpu = after.cpuMicros - before.cpuMicros
  return {
    cost: cpu / messages,
    rate: messages / (micros / 1e6),
    busy: cpu / micros,
    loadBusy: (loadAfter.cpuMicros - loadBefore.cpuMicros) / micros,
    residentBytes: after.residentBytes,
    ...latencies !== undefined && { latencies }
  }
}

/** Starts a server and does something with it; it is stopped when that fails. */
export const withServer = async <A>(workload: Workload, peer: Peer, use: (subject: Subject, address: Address) => Promise<A>): Promise<A> => {
  const subject = start(peer, environment(workload, peer))
  try {
    return await use(subject, addressOf(workload, await listening(subject)))
  } catch (error) {
    await subject.stop()
    throw error
  }
}
