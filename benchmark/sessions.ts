/** What is measured of a peer: its process is started, connected to and warmed up, then asked for one sample after another. */
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import type { Content } from "./load/contents.ts"
import { type Address, host } from "./load/dial.ts"
import { broadcast, echo, type Flow, open, upgrades } from "./load/flow.ts"
import { type Frames, makeFrames, noFrames } from "./load/frames.ts"
import type { Link, LinkOptions } from "./load/link.ts"
import { atRate } from "./load/rate.ts"
import { chat } from "./load/room.ts"
import { ticks } from "./load/ticks.ts"
import type { Peer } from "./peers.ts"
import { usageOfThisProcess } from "./probe.ts"
import { listening, start, type Subject } from "./processes.ts"
import type { Clients, Feed, Memory, MessageWorkload, Upgrades, Workload } from "./workloads.ts"

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

const environment = (workload: Workload, peer: Peer): Readonly<Record<string, string>> => ({
  PORT: "0",
  // Of the example, which refuses more than 1 MiB.
  MAX_MESSAGE_SIZE: String(16 * 1024 * 1024),
  ...peer.env,
  ..."deflated" in workload && workload.deflated === true && { COMPRESSION: "true" },
  ...workload.kind === "feed" && { RATE: String(workload.rate), SIZE: String(workload.size) },
  ...workload.transport === "tls" && { TLS_CERT: tls("server.pem"), TLS_KEY: tls("server.key") },
  ...workload.transport === "http2" && { HTTP2: "true", TLS_CERT: tls("server.pem"), TLS_KEY: tls("server.key") }
})

const addressOf = ({ transport = "tcp" }: Workload, port: number): Address => ({
  port,
  transport,
  ca: transport === "tcp" ? undefined : readFileSync(tls("ca.pem"))
})

const silent: LinkOptions = { masked: true, deflated: false, frames: noFrames, order: "same" }

/** How many messages of its own a connection has. */
const countOf = (content: Content, deflated: boolean, outstanding: number): number => {
  // A call's number may be used again only once it was answered, and calls may be answered in any order.
  if (content === "call") return 4 * outstanding
  // The context of a compressor keeps 32 KiB: a message that is still in there would come back as a few bytes.
  return deflated ? Math.max(64, outstanding) : outstanding
}

const framesOf = ({ content, deflated = false, fragment, kind, outstanding, size }: MessageWorkload): Frames =>
  makeFrames({
    content,
    size,
    count: countOf(content, deflated, outstanding),
    masked: kind !== "client",
    deflated,
    fragment
  })

/** Each connection has messages of its own; where one sends to others all have the same. */
const linkOptionsOf = (workload: MessageWorkload): () => LinkOptions => {
  const { content, deflated = false, kind } = workload
  const shared = kind === "broadcast" || kind === "chat" ? framesOf(workload) : undefined
  return () => ({
    masked: kind !== "client",
    deflated,
    frames: shared ?? framesOf(workload),
    order: kind === "chat" || content === "call" ? "any" : "same"
  })
}

/** The CPU time of a process in a stretch of flow, for each of its messages. */
const sampleOf = (subject: Subject, flow: Flow) => async (millis: number): Promise<Sample> => {
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
const withServer = async <A>(workload: Workload, peer: Peer, use: (subject: Subject, address: Address) => Promise<A>): Promise<A> => {
  const subject = start(peer, environment(workload, peer))
  try {
    return await use(subject, addressOf(workload, await listening(subject)))
  } catch (error) {
    await subject.stop()
    throw error
  }
}

interface Connected {
  readonly subject: Subject
  readonly links: ReadonlyArray<Link>
  readonly close: () => void
}

/** Measured clients dial, and find the generator's own server. */
const connectClients = async (workload: Clients, peer: Peer): Promise<Connected> => {
  const { connections } = workload
  const server = await host(connections, linkOptionsOf(workload))
  const subject = start(peer, { URL: `ws://127.0.0.1:${server.port}`, CONNECTIONS: String(connections), ...peer.env })
  try {
    return { subject, links: await Promise.race([server.links, subject.crashed]), close: server.close }
  } catch (error) {
    server.close()
    await subject.stop()
    throw error
  }
}

const connect = (workload: MessageWorkload, peer: Peer): Promise<Connected> =>
  workload.kind === "client"
    ? connectClients(workload, peer)
    : withServer(workload, peer, async (subject, address) => ({
      subject,
      links: await open(workload.connections, address, linkOptionsOf(workload)),
      close: () => {}
    }))

const flowOf = (workload: MessageWorkload, links: ReadonlyArray<Link>): Flow => {
  if (workload.kind === "broadcast") return broadcast(links, workload.outstanding)
  if (workload.kind === "chat") return chat(links, workload.talkers)
  if (workload.kind === "answers" && workload.rate !== undefined) return atRate(links, workload.rate)
  return echo(links, workload.outstanding)
}

const messageSession = async (workload: MessageWorkload, peer: Peer, warmUpMillis: number): Promise<Session> => {
  const { close, links, subject } = await connect(workload, peer)
  const flow = flowOf(workload, links)
  const stop = async () => {
    close()
    flow.close()
    await subject.stop()
  }
  try {
    // Every byte of the first part of the warm-up is compared.
    await Promise.race([flow.run(warmUpMillis / 2), subject.crashed])
    for (const link of links) link.compareRest()
    await Promise.race([flow.run(warmUpMillis / 2), subject.crashed])
  } catch (error) {
    await stop()
    throw error
  }
  return { sample: sampleOf(subject, flow), stop }
}

/** A feed goes on all the time, so its buffers fill while others are measured; its process is stopped meanwhile. */
const feedSession = (workload: Feed, peer: Peer, warmUpMillis: number): Session => ({
  sample: (millis) =>
    withServer(workload, peer, async (subject, address) => {
      const flow = ticks(await open(workload.connections, address, () => silent))
      try {
        await Promise.race([flow.run(warmUpMillis), subject.crashed])
        return await sampleOf(subject, flow)(millis)
      } finally {
        flow.close()
        await subject.stop()
      }
    }),
  stop: async () => {}
})

const upgradeSession = (workload: Upgrades, peer: Peer, warmUpMillis: number): Promise<Session> =>
  withServer(workload, peer, async (subject, address) => {
    const flow = upgrades(address, workload.atOnce, silent)
    await Promise.race([flow.run(warmUpMillis), subject.crashed])
    return { sample: sampleOf(subject, flow), stop: subject.stop }
  })

/** What the first connections load, compile and let the heap grow by is not the price of one more. */
const warmUpForMemory = async (subject: Subject, address: Address, millis: number): Promise<void> => {
  const frames = makeFrames({ content: "binary", size: 64, count: 1, masked: true, deflated: false })
  const flow = echo(await open(200, address, () => ({ ...silent, frames })), 1)
  try {
    await Promise.race([flow.run(millis), subject.crashed])
  } finally {
    flow.close()
  }
  await sleep(millis)
}

/** A fresh server for each sample: memory that was given back is not measured twice. */
const memorySession = (workload: Memory, peer: Peer, settleMillis: number): Session => ({
  sample: () =>
    withServer(workload, peer, async (subject, address) => {
      const links: Array<Link> = []
      try {
        await warmUpForMemory(subject, address, settleMillis / 4)
        const before = await subject.usage()
        links.push(...await open(workload.connections, address, () => silent))
        await sleep(settleMillis)
        const grown = (await subject.usage()).residentBytes - before.residentBytes
        return { cost: grown / 1024 / workload.connections }
      } finally {
        for (const link of links) link.destroy()
        await subject.stop()
      }
    }),
  stop: async () => {}
})

export const sessionOf = async (workload: Workload, peer: Peer, seconds: number): Promise<Session> => {
  // Long enough for the compiler of V8 to be done.
  const millis = 2 * seconds * 1000
  if (workload.kind === "memory") return memorySession(workload, peer, 2 * millis)
  if (workload.kind === "upgrades") return upgradeSession(workload, peer, millis)
  // Long enough for the buffers of those that read slowly to be full.
  if (workload.kind === "feed") return feedSession(workload, peer, 4 * millis)
  return messageSession(workload, peer, millis)
}
