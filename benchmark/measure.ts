/** Measures one workload: all its peers, in turns. */
import { baseOf, type Peer, peersOf } from "./peers.ts"
import { quantile, type Row } from "./results.ts"
import type { Sample, Session } from "./serving.ts"
import { sessionOf } from "./sessions.ts"
import { unitOf, type Workload } from "./workloads.ts"

export interface Settings {
  readonly rounds: number
  readonly seconds: number
  /** Only peers of these names, and the one that they are compared with. */
  readonly peers: ReadonlyArray<string> | undefined
  /** Called before each step. */
  readonly progress: (workload: string, step: string) => void
}

/** At most three rounds of those that start everything anew. */
export const roundsOf = (workload: Workload, rounds: number): number =>
  ["memory", "feed", "recovery", "joins", "subscriptions"].includes(workload.kind) ? Math.min(rounds, 3) : rounds

export const chosenPeers = (workload: Workload, names: ReadonlyArray<string> | undefined): ReadonlyArray<Peer> => {
  const all = peersOf(workload)
  return names === undefined ? all : all.filter(({ name }) => names.includes(name) || name === baseOf(workload))
}

const mean = (values: ReadonlyArray<number | undefined>): number | undefined => {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length
}

/** Of the latencies of all rounds together, in microseconds. */
const latencyOf = (samples: ReadonlyArray<Sample>): Row["latency"] => {
  const all = samples.flatMap(({ latencies = [] }) => latencies)
  return all.length === 0
    ? undefined
    : { p50: quantile(all, 0.5), p99: quantile(all, 0.99), p999: quantile(all, 0.999), most: quantile(all, 1) }
}

const rowOf = (workload: Workload, peer: Peer, samples: ReadonlyArray<Sample>): Row => {
  const costs = samples.map(({ cost }) => cost)
  return {
    workload: workload.name,
    peer: peer.name,
    base: baseOf(workload),
    unit: unitOf(workload),
    // Noise only ever adds, so the lower quartile says most of the program.
    cost: quantile(costs, 0.25),
    median: quantile(costs, 0.5),
    upper: quantile(costs, 0.75),
    costs,
    perSecond: mean(samples.map(({ rate }) => rate)),
    busy: mean(samples.map(({ busy }) => busy)),
    loadBusy: mean(samples.map(({ loadBusy }) => loadBusy)),
    latency: latencyOf(samples),
    residentBytes: workload.kind === "feed" ? mean(samples.map(({ residentBytes }) => residentBytes)) : undefined
  }
}

/** Measures all peers of a workload; those in turn, so that a bad minute of the machine meets all. */
export const measure = async (workload: Workload, settings: Settings): Promise<ReadonlyArray<Row>> => {
  const sessions: Array<{ readonly peer: Peer; readonly session: Session; readonly samples: Array<Sample> }> = []
  try {
    for (const peer of chosenPeers(workload, settings.peers)) {
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
