/** Runs a soak: starts the processes, lets the traffic flow, and finds out whether all of it arrived and nothing is left. */
import { setTimeout as sleep } from "node:timers/promises"
import { Fates } from "./fates.ts"
import type { Holdings } from "./holdings.ts"
import type { ClientReport, ClientTask, FaultsReport, GuestsReport, GuestsTask, ServerReport } from "./messages.ts"
import type { Options } from "./options.ts"
import { type Process, start } from "./processes.ts"
import { Tally } from "./tally.ts"

/** How things stood at one time. Shares are of one CPU. */
export interface Sample {
  readonly second: number
  readonly open: number
  readonly perSecond: number
  readonly bytesPerSecond: number
  readonly serverCpu: number
  readonly clientCpu: number
  /** Of the time, how much the process that had to wait most was ready and got no CPU. */
  readonly starved: number
  readonly serverResident: number
  readonly clientResident: number
  readonly missing: number
}

export interface Memory {
  readonly process: string
  /** At the start, after the warm-up and after the soak, with all connections closed. */
  readonly start: Holdings
  readonly before: Holdings
  readonly after: Holdings
  readonly leaks: ReadonlyArray<string>
}

export interface Result {
  readonly seconds: number
  readonly sent: number
  readonly sentBytes: number
  readonly received: number
  readonly receivedBytes: number
  readonly pings: number
  readonly peak: number
  readonly kinds: Readonly<Record<string, number>>
  readonly ways: Readonly<Record<string, number>>
  readonly peers: Readonly<Record<string, number>>
  readonly servers: Readonly<Record<string, number>>
  readonly tally: Tally
  readonly fates: Fates
  readonly samples: ReadonlyArray<Sample>
  readonly memory: ReadonlyArray<Memory>
  /** Why the soak failed; nothing when it did not. */
  readonly failures: ReadonlyArray<string>
}

export type Progress = (phase: string, secondsLeft: number | undefined, sample: Sample) => void

const MiB = 2 ** 20

const sum = <A>(all: ReadonlyArray<A>, of: (one: A) => number): number => all.reduce((total, one) => total + of(one), 0)

const merged = (all: ReadonlyArray<Readonly<Record<string, number>>>): Record<string, number> => {
  const total: Record<string, number> = {}
  for (const counts of all) for (const [name, count] of Object.entries(counts)) total[name] = (total[name] ?? 0) + count
  return total
}

interface Processes {
  readonly server: Process
  readonly ports: ReadonlyArray<number>
  readonly clients: ReadonlyArray<Process>
  readonly faults: Process | undefined
  readonly faultsPort: number
  readonly guests: Process
  readonly guestsPort: number
}

const local = (file: string) => new URL(file, import.meta.url)

/** Shares what is for all among the client processes. */
const tasksOf = (options: Options, { clients, faults, faultsPort, guestsPort, ports }: Processes): ReadonlyArray<ClientTask> => {
  const share = (of: number, index: number) => Math.floor(of * (index + 1) / clients.length) - Math.floor(of * index / clients.length)
  return clients.map((_, index) => ({
    url: `ws://127.0.0.1:${ports[index % ports.length]}`,
    faultsUrl: faults === undefined ? undefined : `ws://127.0.0.1:${faultsPort}`,
    first: Math.floor(options.connections * index / clients.length),
    connections: share(options.connections, index),
    busy: share(options.busy, index),
    idleInterval: options.idleInterval,
    rate: options.rate / clients.length,
    bytesPerSecond: options.bytesPerSecond / clients.length,
    inFlight: options.inFlight,
    inFlightBytes: options.inFlightBytes / clients.length,
    patience: options.patience,
    // A few of the misbehaving peers are servers.
    faults: Math.max(0.5, options.faults / 5) / clients.length,
    uploads: share(Math.floor(options.slow / 2), index),
    slowUrl: `ws://127.0.0.1:${guestsPort}`,
    slowBytes: options.slowBytes,
    seed: options.seed
  }))
}

const guestsTaskOf = (options: Options, ports: ReadonlyArray<number>): GuestsTask => ({
  ports,
  slow: Math.ceil(options.slow / 2),
  slowBytes: options.slowBytes,
  subscribers: options.subscribers,
  leaversPerSecond: options.leavers,
  seed: options.seed
})

/** Asks all processes how they are, once a second. */
class Watch {
  readonly tally = new Tally()
  readonly fates = new Fates()
  readonly samples: Array<Sample> = []
  server!: ServerReport
  clients: ReadonlyArray<ClientReport> = []
  faults: FaultsReport | undefined
  private readonly processes: Processes
  private readonly began = performance.now()
  private last: { readonly at: number; readonly received: number; readonly bytes: number; readonly serverCpu: number; readonly clientCpu: number; readonly waited: ReadonlyArray<number> } | undefined

  constructor(processes: Processes) {
    this.processes = processes
  }

  async look(): Promise<Sample> {
    const { clients, faults, guests, server } = this.processes
    this.clients = await Promise.all(clients.map((client) => client.ask<ClientReport>("report")))
    this.server = await server.ask<ServerReport>("report")
    this.faults = await faults?.ask<FaultsReport>("report")
    for (const client of this.clients) this.tally.addClient(client)
    this.tally.addAccounts(this.server.accounts)
    for (const problem of this.faults?.problems ?? []) this.tally.problem(problem)
    this.addFates(await guests.ask<GuestsReport>("report"))
    const at = performance.now()
    const now = {
      at,
      received: sum(this.clients, ({ received }) => received),
      bytes: sum(this.clients, ({ receivedBytes }) => receivedBytes),
      serverCpu: this.server.cpuMicros,
      clientCpu: sum(this.clients, ({ cpuMicros }) => cpuMicros),
      waited: [this.server, ...this.clients].map(({ waitedMicros }) => waitedMicros)
    }
    const last = this.last ?? { ...now, at: at - 1000 }
    this.last = now
    const seconds = (at - last.at) / 1000
    const sample: Sample = {
      second: (at - this.began) / 1000,
      open: sum(this.clients, ({ open }) => open),
      perSecond: (now.received - last.received) / seconds,
      bytesPerSecond: (now.bytes - last.bytes) / seconds,
      serverCpu: (now.serverCpu - last.serverCpu) / seconds / 1e6,
      clientCpu: (now.clientCpu - last.clientCpu) / seconds / 1e6,
      starved: Math.max(...now.waited.map((waited, i) => waited - last.waited[i]!)) / seconds / 1e6,
      serverResident: this.server.holdings.residentBytes,
      clientResident: sum(this.clients, ({ holdings }) => holdings.residentBytes),
      missing: this.tally.there.missing + this.tally.back.missing + this.fates.lost
    }
    this.samples.push(sample)
    return sample
  }

  private addFates({ departures, problems, pushes, received }: GuestsReport): void {
    const { fates, server, tally } = this
    fates.addAccepted(server.accepted)
    fates.addReceived(server.received)
    fates.addEnds(server.ends)
    fates.handlers = server.handlers
    fates.addReceived(received)
    fates.addDepartures(departures)
    fates.pushes = pushes
    for (const problem of problems) tally.problem(problem)
    for (const client of this.clients) {
      fates.addAccepted(client.accepted)
      for (const problem of client.problems) tally.problem(problem)
    }
  }
}

/** Opens all connections, lets them talk, and closes them; returns what was seen. */
const flow = async (
  processes: Processes,
  options: Options,
  phase: string,
  seconds: number,
  progress: Progress
): Promise<{ readonly watch: Watch; readonly seconds: number }> => {
  const { clients, faults, guests, ports } = processes
  const watch = new Watch(processes)
  const tasks = tasksOf(options, processes)
  await Promise.all(clients.map((client, index) => client.ask("start", tasks[index])))
  const begin = performance.now()
  // Connections that come and go are never all there at once.
  const enough = options.connections - Math.ceil(options.busy / 2)
  while ((await watch.look()).open < enough) {
    progress(`${phase}: connecting`, undefined, watch.samples.at(-1)!)
    if (performance.now() - begin > 120_000 + options.connections * 10) {
      watch.tally.problem(`only ${watch.samples.at(-1)!.open} connections could be opened`)
      break
    }
    await sleep(1000)
  }
  await faults?.ask("start", { ports, perSecond: options.faults, seed: options.seed })
  await guests.ask("start", guestsTaskOf(options, ports))
  const full = performance.now()
  const end = full + seconds * 1000
  for (let now = full; now < end; now = performance.now()) {
    await sleep(Math.min(1000, end - now))
    const sample = await watch.look()
    progress(phase, Math.max(0, (end - performance.now()) / 1000), sample)
  }
  const lasted = (performance.now() - full) / 1000
  // The last answers, Closes and faults.
  const stopping = Promise.all([...clients, guests, ...faults === undefined ? [] : [faults]].map((one) => one.ask("stop")))
  while (await Promise.race([stopping, sleep(250, "not yet")]) === "not yet") {
    progress(`${phase}: ending`, undefined, await watch.look())
  }
  const giveUp = performance.now() + 4 / 3 * options.patience * 1000
  while (performance.now() < giveUp && (watch.server.sockets > 0 || watch.fates.running > 0)) {
    await sleep(250)
    progress(`${phase}: waiting until all is closed`, undefined, await watch.look())
  }
  await watch.look()
  if (watch.server.sockets > 0) watch.tally.problem(`the server still has ${watch.server.sockets} sockets open`)
  watch.tally.finish()
  return { watch, seconds: lasted }
}

const leaksOf = (start: Holdings, before: Holdings, after: Holdings, { toleranceBytes, warmUp }: Options): ReadonlyArray<string> => {
  const leaks: Array<string> = []
  for (const what of ["descriptors", "sockets", "timers", "fibers"] as const) {
    const more = (after[what] ?? 0) - (start[what] ?? 0)
    // Undici lets a timer of its own run on.
    if (more > (what === "timers" ? 1 : 0)) leaks.push(`${more} ${what} more than at the start`)
  }
  const grown = after.heapBytes + after.externalBytes - before.heapBytes - before.externalBytes
  if (grown > toleranceBytes) leaks.push(`the heap grew by ${(grown / MiB).toFixed(1)} MiB`)
  // The allocator keeps what it had at the peak, so this is coarse, and needs a warm-up: it is for what the heap does not tell.
  if (warmUp > 0 && after.residentBytes > 1.5 * before.residentBytes + 8 * toleranceBytes) {
    leaks.push(`resident memory grew from ${Math.round(before.residentBytes / MiB)} to ${Math.round(after.residentBytes / MiB)} MiB`)
  }
  return leaks
}

/** What a process holds that has only just started; the library may still be trying what its sockets can do. */
const quiet = async (process: Process): Promise<Holdings> => {
  const giveUp = performance.now() + 5000
  for (;;) {
    const now = await process.ask<Holdings>("collect")
    if (now.sockets === 0 || performance.now() > giveUp) return now
    await sleep(100)
  }
}

/** Looks again until a process holds no more than at its start, or does not come down to it. */
const settled = async (process: Process, start: Holdings): Promise<Holdings> => {
  const giveUp = performance.now() + 15_000
  for (;;) {
    const now = await process.ask<Holdings>("collect")
    const isQuiet = now.sockets <= start.sockets && now.fibers <= start.fibers && now.timers <= start.timers &&
      (now.descriptors ?? 0) <= (start.descriptors ?? 0)
    if (isQuiet || performance.now() > giveUp) return now
    await sleep(500)
  }
}

const failuresOf = ({ fates, tally }: Watch, phase: string): ReadonlyArray<string> => {
  const failures: Array<string> = [...fates.finish()]
  for (const [direction, counts] of [["to the server", tally.there], ["back from it", tally.back]] as const) {
    if (counts.missing > 0) failures.push(`${counts.missing} messages were lost on the way ${direction}`)
    if (counts.duplicates > 0) failures.push(`${counts.duplicates} messages came twice on the way ${direction}`)
    if (counts.reordered > 0) failures.push(`${counts.reordered} messages came out of order on the way ${direction}`)
    if (counts.corrupt > 0) failures.push(`${counts.corrupt} messages were altered on the way ${direction}`)
  }
  if (tally.problemCount > 0) failures.push(`${tally.problemCount} connections did not go as they should`)
  return phase === "" ? failures : failures.map((failure) => `${phase}: ${failure}`)
}

const startAll = async (options: Options, started: Array<Process>): Promise<Processes> => {
  const begin = async (name: string, file: string | URL, environment: Readonly<Record<string, string>> = {}) => {
    const one = await start(name, file, environment)
    started.push(one)
    return one
  }
  const server = await begin("server", options.server ?? local("server.ts"), { SOAK_LISTENERS: String(options.clients) })
  const starting = [
    begin("guests", local("guests/process.ts")),
    ...options.faults > 0 ? [begin("faults", local("faults.ts"))] : [],
    ...Array.from({ length: options.clients }, (_, i) =>
      begin(options.clients === 1 ? "clients" : `clients ${i + 1}`, local("client.ts")))
  ]
  // Where one fails the others are to be stopped, too.
  await Promise.allSettled(starting)
  const [guests, ...clients] = await Promise.all(starting)
  const faults = options.faults > 0 ? clients.shift() : undefined
  return {
    server,
    ports: await server.ask<ReadonlyArray<number>>("ports"),
    clients,
    faults,
    faultsPort: await faults?.ask<number>("port") ?? 0,
    guests: guests!,
    guestsPort: await guests!.ask<number>("port")
  }
}

/** What servers that misbehave made of our clients: typed ends only, and in time. */
const checkServers = (servers: Readonly<Record<string, number>>, tally: Tally): void => {
  for (const [what, count] of Object.entries(servers)) {
    if (what.includes("DEFECT") || what.includes("STUCK")) tally.problem(`${count} times, a server that ${what}`)
  }
}

export const soak = async (options: Options, progress: Progress): Promise<Result> => {
  const started: Array<Process> = []
  try {
    const processes = await startAll(options, started)
    const watched = [processes.server, ...processes.clients]
    const starts = await Promise.all(watched.map(quiet))
    const failures: Array<string> = []
    if (options.warmUp > 0) {
      const { watch } = await flow(processes, options, "warm-up", options.warmUp, progress)
      failures.push(...failuresOf(watch, "in the warm-up"))
      for (const problem of watch.tally.problems) failures.push(`in the warm-up: ${problem}`)
    }
    const before = await Promise.all(watched.map((one, i) => settled(one, starts[i]!)))
    const { seconds, watch } = await flow(processes, options, "soak", options.seconds, progress)
    const { clients, fates, faults, samples, tally } = watch
    const servers = merged(clients.map(({ faults }) => faults))
    checkServers(servers, tally)
    failures.push(...failuresOf(watch, ""))
    const memory: Array<Memory> = []
    for (const [i, one] of watched.entries()) {
      const after = await settled(one, starts[i]!)
      const leaks = leaksOf(starts[i]!, before[i]!, after, options)
      memory.push({ process: one.name, start: starts[i]!, before: before[i]!, after, leaks })
      failures.push(...leaks.map((leak) => `leaked by the ${one.name}: ${leak}`))
    }
    const sent = sum(clients, ({ sent }) => sent)
    if (sent === 0) failures.push("no message was sent")
    return {
      seconds,
      sent,
      sentBytes: sum(clients, ({ sentBytes }) => sentBytes),
      received: sum(clients, ({ received }) => received),
      receivedBytes: sum(clients, ({ receivedBytes }) => receivedBytes),
      pings: sum(clients, ({ pings }) => pings),
      peak: Math.max(...samples.map(({ open }) => open)),
      kinds: merged(clients.map(({ kinds }) => kinds)),
      ways: merged(clients.map(({ ways }) => ways)),
      peers: faults?.done ?? {},
      servers,
      tally,
      fates,
      samples,
      memory,
      failures
    }
  } finally {
    await Promise.all(started.map((one) => one.stop()))
  }
}
