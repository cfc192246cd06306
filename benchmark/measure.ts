/** Measures one workload: all its peers, in turns. */
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { type Address, host } from "./load/dial.ts"
import { broadcast, echo, type Flow, open, upgrades } from "./load/flow.ts"
import { type Frames, makeFrames } from "./load/frames.ts"
import type { Link, LinkOptions } from "./load/link.ts"
import { usageOfThisProcess } from "./probe.ts"
import { listening, start, type Subject } from "./processes.ts"
import { quartile } from "./results.ts"
import type { Row } from "./results.ts"
import { type Memory, type Messages, type Peer, peersOf, unitOf, type Upgrades, type Workload } from "./workloads.ts"

export interface Settings {
  readonly rounds: number
  readonly seconds: number
  /** Told before each step. */
  readonly progress: (workload: string, step: string) => void
}

/** What one run showed. */
interface Sample {
  readonly cost: number
  readonly rate: number | undefined
  /** Shares of a CPU: of the measured process, and of the load generator. */
  readonly busy: number | undefined
  readonly loadBusy: number | undefined
}

interface Session {
  readonly sample: (millis: number) => Promise<Sample>
  readonly stop: () => Promise<void>
}

const tls = (name: string) => fileURLToPath(new URL(`../packages/node/test/support/tls/${name}`, import.meta.url))

const environment = (workload: Workload, peer: Peer): Readonly<Record<string, string>> => ({
  PORT: "0",
  ...peer.env,
  ...workload.kind === "server" && workload.deflated === true && { COMPRESSION: "true" },
  ...workload.kind === "server" && workload.tls === true && { TLS_CERT: tls("server.pem"), TLS_KEY: tls("server.key") }
})

const framesOf = ({ content, deflated = false, kind, outstanding, size }: Messages): Frames =>
  makeFrames({ content, size, count: outstanding, masked: kind !== "client", deflated })

/** Each connection has messages of its own; of a broadcast all get the same. */
const linkOptionsOf = (workload: Messages): () => LinkOptions => {
  const shared = workload.kind === "broadcast" ? framesOf(workload) : undefined
  return () => ({
    masked: workload.kind !== "client",
    deflated: workload.deflated ?? false,
    frames: shared ?? framesOf(workload)
  })
}

const noFrames: LinkOptions = {
  masked: true,
  deflated: false,
  frames: { opcode: 0, payloads: [], bytes: Buffer.alloc(0), offsets: [] }
}

/** The CPU time of a process in a stretch of flow, for each of its messages. */
const sampleOf = (subject: Subject, flow: Flow) => async (millis: number): Promise<Sample> => {
  const before = await subject.usage()
  const loadBefore = usageOfThisProcess()
  const begin = performance.now()
  const count = await Promise.race([flow.run(millis), subject.crashed])
  const micros = (performance.now() - begin) * 1000
  const loadAfter = usageOfThisProcess()
  const cpu = (await subject.usage()).cpuMicros - before.cpuMicros
  return {
    cost: cpu / count,
    rate: count / (micros / 1e6),
    busy: cpu / micros,
    loadBusy: (loadAfter.cpuMicros - loadBefore.cpuMicros) / micros
  }
}

/** Servers are dialled; measured clients dial, and find the generator's own server. */
const connect = async (
  workload: Messages,
  peer: Peer
): Promise<{ readonly subject: Subject; readonly links: ReadonlyArray<Link>; readonly close: () => void }> => {
  const options = linkOptionsOf(workload)
  const { connections } = workload
  if (workload.kind === "client") {
    const server = await host(connections, options)
    const subject = start(peer.file, { URL: `ws://127.0.0.1:${server.port}`, CONNECTIONS: String(connections) })
    try {
      return { subject, links: await Promise.race([server.links, subject.crashed]), close: server.close }
    } catch (error) {
      server.close()
      throw error
    }
  }
  const subject = start(peer.file, environment(workload, peer))
  try {
    const ca = workload.tls === true ? readFileSync(tls("ca.pem")) : undefined
    const address = { port: await listening(subject), ca }
    return { subject, links: await open(connections, address, options), close: () => {} }
  } catch (error) {
    await subject.stop()
    throw error
  }
}

const messageSession = async (workload: Messages, peer: Peer, warmUpMillis: number): Promise<Session> => {
  const { close, links, subject } = await connect(workload, peer)
  const flow = (workload.kind === "broadcast" ? broadcast : echo)(links, workload.outstanding)
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

const upgradeSession = async (workload: Upgrades, peer: Peer, warmUpMillis: number): Promise<Session> => {
  const subject = start(peer.file, environment(workload, peer))
  try {
    const flow = upgrades({ port: await listening(subject) }, workload.atOnce, noFrames)
    await Promise.race([flow.run(warmUpMillis), subject.crashed])
    return { sample: sampleOf(subject, flow), stop: subject.stop }
  } catch (error) {
    await subject.stop()
    throw error
  }
}

/** What the first connections load, compile and let the heap grow by is not the price of one more. */
const warmUpForMemory = async (subject: Subject, address: Address, millis: number): Promise<void> => {
  const frames = makeFrames({ content: "binary", size: 64, count: 1, masked: true, deflated: false })
  const flow = echo(await open(200, address, () => ({ ...noFrames, frames })), 1)
  try {
    await Promise.race([flow.run(millis), subject.crashed])
  } finally {
    flow.close()
  }
  await sleep(millis)
}

/** A fresh server for each sample: memory that was given back is not measured twice. */
const memorySession = (workload: Memory, peer: Peer, settleMillis: number): Session => ({
  sample: async () => {
    const subject = start(peer.file, environment(workload, peer))
    const links: Array<Link> = []
    try {
      const address = { port: await listening(subject) }
      await warmUpForMemory(subject, address, settleMillis / 4)
      const before = await subject.usage()
      links.push(...await open(workload.connections, address, () => noFrames))
      await sleep(settleMillis)
      const grown = (await subject.usage()).residentBytes - before.residentBytes
      return { cost: grown / 1024 / workload.connections, rate: undefined, busy: undefined, loadBusy: undefined }
    } finally {
      for (const link of links) link.destroy()
      await subject.stop()
    }
  },
  stop: async () => {}
})

const sessionOf = async (workload: Workload, peer: Peer, seconds: number): Promise<Session> => {
  // Long enough for the compiler of V8 to be done.
  const millis = 2 * seconds * 1000
  if (workload.kind === "memory") return memorySession(workload, peer, 2 * millis)
  if (workload.kind === "upgrades") return upgradeSession(workload, peer, millis)
  return messageSession(workload, peer, millis)
}

/** At most three rounds of the one that starts everything anew. */
export const roundsOf = (workload: Workload, rounds: number): number =>
  workload.kind === "memory" ? Math.min(rounds, 3) : rounds

const mean = (values: ReadonlyArray<number | undefined>): number | undefined => {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length
}

const rowOf = (workload: Workload, peer: Peer, samples: ReadonlyArray<Sample>): Row => ({
  workload: workload.name,
  peer: peer.name,
  unit: unitOf(workload),
  // Noise only ever adds.
  cost: quartile(samples.map(({ cost }) => cost)),
  costs: samples.map(({ cost }) => cost),
  perSecond: mean(samples.map(({ rate }) => rate)),
  busy: mean(samples.map(({ busy }) => busy)),
  loadBusy: mean(samples.map(({ loadBusy }) => loadBusy))
})

/** Measures all peers of a workload; those in turn, so that a bad minute of the machine meets all. */
export const measure = async (workload: Workload, settings: Settings): Promise<ReadonlyArray<Row>> => {
  const sessions: Array<{ readonly peer: Peer; readonly session: Session; readonly samples: Array<Sample> }> = []
  try {
    for (const peer of peersOf(workload)) {
      settings.progress(workload.name, `${peer.name}, warm-up`)
      sessions.push({ peer, session: await sessionOf(workload, peer, settings.seconds), samples: [] })
    }
    const rounds = roundsOf(workload, settings.rounds)
    for (let round = 0; round < rounds; round++) {
      for (const { peer, samples, session } of round % 2 === 0 ? sessions : sessions.toReversed()) {
        settings.progress(workload.name, `${peer.name}, round ${round + 1} of ${rounds}`)
        samples.push(await session.sample(settings.seconds * 1000))
      }
    }
    return sessions.map(({ peer, samples }) => rowOf(workload, peer, samples))
  } finally {
    for (const { session } of sessions) await session.stop()
  }
}
