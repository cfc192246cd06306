/** What is measured of a peer: its process is started, connected to and warmed up, then asked for one sample after another. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Content } from "./load/contents.ts"
import { type Address, host } from "./load/dial.ts"
import { broadcast, echo, type Flow, open, upgrades } from "./load/flow.ts"
import { type Frames, makeFrames } from "./load/frames.ts"
import type { Link, LinkOptions } from "./load/link.ts"
import { atRate } from "./load/rate.ts"
import { chat } from "./load/room.ts"
import { dialectOf, join, reach } from "./load/topics.ts"
import { ticks } from "./load/ticks.ts"
import { type Peer, upstream } from "./peers.ts"
import { start, type Subject } from "./processes.ts"
import { sampleOf, type Session, silent, withServer } from "./serving.ts"
import { joinsSession, recoverySession, subscriptionsSession, topicSession } from "./topics.ts"
import type { Answers, Clients, Feed, Memory, MessageWorkload, Upgrades, Workload } from "./workloads.ts"

/** How many messages of its own a connection has. */
const countOf = (content: Content, deflated: boolean, outstanding: number): number => {
  // A call's number may be used again only once it was answered, and calls may be answered in any order.
  if (content === "call" || content === "ack") return 4 * outstanding
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
    order: kind === "chat" || content === "call" || content === "ack" ? "any" : "same"
  })
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

const connectServer = (given: Exclude<MessageWorkload, Clients>, peer: Peer): Promise<Connected> =>
  withServer(given, peer, async (subject, address) => {
    const dialect = dialectOf(peer)
    // A call in the words of the peer.
    const workload = dialect.call === undefined ? given : { ...given, content: dialect.call }
    const options = linkOptionsOf(workload)
    const greeted = dialect.join !== undefined
    const links = await open(workload.connections, reach(address, dialect), () => ({ ...options(), greeted }))
    await join(links, dialect, "")
    return { subject, links, close: () => {} }
  })

/** A proxy, before a server that is not measured. */
const connectProxy = (workload: Answers, peer: Peer): Promise<Connected> =>
  withServer(workload, upstream, async (behind, { port }) => {
    const connected = await connectServer(workload, { ...peer, env: { ...peer.env, UPSTREAM: `ws://127.0.0.1:${port}` } })
    return { ...connected, close: () => void behind.stop() }
  })

const connect = (workload: MessageWorkload, peer: Peer): Promise<Connected> => {
  if (workload.kind === "client") return connectClients(workload, peer)
  return workload.kind === "answers" && workload.program === "proxy" ? connectProxy(workload, peer) : connectServer(workload, peer)
}

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
    // A handshake passes through so much code that V8 compiles some of it for seconds.
    await Promise.race([flow.run(4 * warmUpMillis), subject.crashed])
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
  if (workload.kind === "topic") return topicSession(workload, peer, millis)
  if (workload.kind === "recovery") return recoverySession(workload, peer)
  if (workload.kind === "joins") return joinsSession(workload, peer)
  if (workload.kind === "subscriptions") return subscriptionsSession(workload, peer, 2 * millis)
  if (workload.kind === "upgrades") return upgradeSession(workload, peer, millis)
  // Long enough for the buffers of those that read slowly to be full.
  if (workload.kind === "feed") return feedSession(workload, peer, 4 * millis)
  return messageSession(workload, peer, millis)
}
