/** What is measured of topics: deliveries, clients that come back, the memory of subscriptions. */
import { setTimeout as sleep } from "node:timers/promises"
import { type Address, dial } from "./load/dial.ts"
import { closeAll, open } from "./load/flow.ts"
import type { Link } from "./load/link.ts"
import { become, dialectOf, join, publishAll, reach, recover, topic } from "./load/topics.ts"
import type { Peer } from "./peers.ts"
import { listening, start, startRedis, type Subject } from "./processes.ts"
import { addressOf, environment, sampleOf, type Session, silent, withServer } from "./serving.ts"
import type { Joins, Recovery, Subscriptions, Topic } from "./workloads.ts"

const name = "room/1"

/** Several processes as one: what they used is added up. */
const together = (subjects: ReadonlyArray<Subject>): Pick<Subject, "usage" | "crashed"> => ({
  usage: async () => {
    const all = await Promise.all(subjects.map((subject) => subject.usage()))
    return all.reduce((a, b) => ({ cpuMicros: a.cpuMicros + b.cpuMicros, residentBytes: a.residentBytes + b.residentBytes }))
  },
  crashed: Promise.race(subjects.map(({ crashed }) => crashed))
})

/** Starts the servers: one, or two on a Redis. */
const servers = async (workload: Topic, peer: Peer) => {
  const redis = workload.redis === true ? await startRedis() : undefined
  if (workload.redis === true && redis === undefined) throw new Error("there is no redis-server here")
  const env = { ...environment(workload, peer), ...redis !== undefined && { REDIS_URL: redis.url } }
  const subjects = Array.from({ length: redis === undefined ? 1 : 2 }, () => start(peer, env))
  const stop = async () => {
    await Promise.all(subjects.map((subject) => subject.stop()))
    redis?.stop()
  }
  return { subjects, stop }
}

export const topicSession = async (workload: Topic, peer: Peer, warmUpMillis: number): Promise<Session> => {
  const dialect = dialectOf(peer)
  const { stop, subjects } = await servers(workload, peer)
  const links: Array<Link> = []
  const stopAll = async () => {
    closeAll(links)()
    await stop()
  }
  try {
    const addresses: Array<Address> = []
    for (const subject of subjects) addresses.push(reach(addressOf(workload, await listening(subject)), dialect))
    const members = await open(workload.connections, addresses.at(-1)!, () => silent)
    links.push(...members)
    await join(members, dialect, name)
    const publisher = subjects.length === 1 ? members[0]! : await dial(addresses[0]!, silent)
    if (subjects.length > 1) {
      links.push(publisher)
      await join([publisher], dialect, name)
    }
    const flow = topic(publisher, members, { dialect, outstanding: workload.outstanding, size: workload.size, topic: name })
    const subject = together(subjects)
    // The contents of the first part are compared.
    for (let i = 0; i < 2; i++) await Promise.race([flow.run(warmUpMillis / 2), subject.crashed])
    return { sample: sampleOf(subject, flow), stop: stopAll }
  } catch (error) {
    await stopAll()
    throw error
  }
}

/** A fresh server for each sample. All connections are open before the clock runs: what is measured is what they are sent. */
export const recoverySession = (workload: Recovery, peer: Peer): Session => ({
  sample: () =>
    withServer(workload, peer, async (subject, address) => {
      const { connections, missed, size } = workload
      const where = reach(address, dialectOf(peer))
      const publisher = await dial(where, silent)
      const links = await open(connections, where, () => silent)
      const flow = {
        run: async () => {
          await recover(links, name, since, missed)
          return { messages: connections * missed }
        },
        close: closeAll([publisher, ...links])
      }
      const since = await publishAll(publisher, name, missed, size)
      try {
        return await sampleOf(subject, flow)(0)
      } finally {
        flow.close()
        await subject.stop()
      }
    }),
  stop: async () => {}
})

/**
 * A fresh server for each sample. The first topics only warm up: of the last one the cost is taken. What is sent is counted too: each
 * who is told gets one list and then what changes, or the sample fails.
 */
export const joinsSession = (workload: Joins, peer: Peer): Session => ({
  sample: () =>
    withServer(workload, peer, async (subject, address) => {
      const { connections, watchers } = workload
      const where = reach(address, dialectOf(peer))
      const [members, watching] = [await open(connections, where, () => silent), await open(watchers, where, () => silent)]
      let rounds = 0
      const flow = {
        run: async () => {
          await become(members, watching, `room/${rounds++}`)
          return { messages: connections }
        },
        close: closeAll([...members, ...watching])
      }
      try {
        for (let i = 0; i < 4; i++) await Promise.race([flow.run(), subject.crashed])
        return await sampleOf(subject, flow)(0)
      } finally {
        flow.close()
        await subject.stop()
      }
    }),
  stop: async () => {}
})

/** A fresh server for each sample: memory that was given back is not measured twice. */
export const subscriptionsSession = (workload: Subscriptions, peer: Peer, settleMillis: number): Session => ({
  sample: () =>
    withServer(workload, peer, async (subject, address) => {
      const { connections, each } = workload
      const dialect = dialectOf(peer)
      const links = await open(connections, reach(address, dialect), () => silent)
      try {
        // What the first ones load and compile is not the price of one more.
        for (let i = 0; i < 20; i++) await join(links.slice(0, 50), dialect, `warm/${i}`)
        await sleep(settleMillis)
        const live = async () => (await subject.usage({ live: true })).liveBytes!
        const before = await live()
        for (let i = 0; i < each; i++) await join(links, dialect, `room/${i}`)
        await sleep(settleMillis)
        return { cost: ((await live()) - before) / (connections * each) }
      } finally {
        closeAll(links)()
        await subject.stop()
      }
    }),
  stop: async () => {}
})
