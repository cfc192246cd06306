/** What a soak tells: a line while it runs, a summary at its end, and a report to keep. */
import { arch, cpus, platform, release, totalmem } from "node:os"
import type { Holdings } from "./holdings.ts"
import type { Counts } from "./ledger.ts"
import { latencies } from "./messages.ts"
import type { Options } from "./options.ts"
import type { Progress, Result, Sample } from "./soak.ts"

const MiB = 2 ** 20

const number = (value: number, digits = 0): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const mib = (bytes: number, digits = 0): string => number(bytes / MiB, digits)
const percent = (share: number): string => `${number(share * 100)} %`
const millis = (value: number): string => number(value, value < 10 ? 2 : value < 100 ? 1 : 0)

const clock = (seconds: number): string => {
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`
}

const line = (phase: string, left: number | undefined, sample: Sample): string =>
  [
    `[${phase}${left === undefined ? "" : `, ${clock(left)} left`}]`,
    `${number(sample.open)} open,`,
    `${number(sample.perSecond)} messages/s,`,
    `${mib(sample.bytesPerSecond, 1)} MiB/s,`,
    `server ${percent(sample.serverCpu)} ${mib(sample.serverResident)} MiB,`,
    `clients ${percent(sample.clientCpu)} ${mib(sample.clientResident)} MiB,`,
    ...sample.starved < 0.1 ? [] : [`starved ${percent(sample.starved)},`],
    `lost ${number(sample.missing)}`
  ].join(" ")

/** One line that is written over on a terminal; elsewhere a line every ten seconds, and for each phase. */
export const makeProgress = (): { readonly show: Progress; readonly clear: () => void } => {
  const { stderr } = process
  let lastAt = 0
  let lastPhase = ""
  return {
    show: (phase, left, sample) => {
      const now = performance.now()
      if (stderr.isTTY) stderr.write(`\r\x1b[K${line(phase, left, sample).slice(0, Math.max(20, (stderr.columns ?? 80) - 1))}`)
      else if (phase !== lastPhase || now - lastAt >= 10_000) {
        stderr.write(`${line(phase, left, sample)}\n`)
        lastAt = now
      }
      lastPhase = phase
    },
    clear: () => {
      if (stderr.isTTY) stderr.write("\r\x1b[K")
    }
  }
}

const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = header.map((title, i) => Math.max(title.length, 3, ...rows.map((row) => row[i]!.length)))
  const format = (row: ReadonlyArray<string>) =>
    `| ${row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join(" | ")} |`
  const rule = `| ${widths.map((width, i) => i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`).join(" | ")} |`
  return [format(header), rule, ...rows.map(format)].join("\n")
}

const accountTable = ({ tally }: Result): string => {
  const row = (name: string, { bytes, corrupt, duplicates, missing, received, reordered }: Counts) =>
    [name, number(received), mib(bytes), ...[missing, duplicates, reordered, corrupt].map((count) => number(count))]
  return table(
    ["direction", "received", "MiB", "lost", "twice", "out of order", "altered"],
    [row("client to server", tally.there), row("server to client", tally.back)]
  )
}

const latencyNames = {
  small: "message below 16 KiB",
  large: "message from 16 KiB",
  streamed: "on connections that stream",
  ping: "ping",
  connect: "connecting, with the handshake"
}

const latencyTable = ({ tally }: Result): string =>
  table(
    ["milliseconds", "count", "50 %", "90 %", "99 %", "99.9 %", "most"],
    latencies.map((name) => {
      const histogram = tally.latencies[name]
      return [latencyNames[name], number(histogram.count), ...[0.5, 0.9, 0.99, 0.999].map((share) => millis(histogram.percentile(share))), millis(histogram.max)]
    })
  )

const holdingsRow = (what: string, held: Holdings): ReadonlyArray<string> => [
  what,
  held.descriptors === undefined ? "-" : number(held.descriptors),
  number(held.sockets),
  number(held.timers),
  number(held.fibers),
  mib(held.heapBytes + held.externalBytes, 1),
  mib(held.residentBytes)
]

const memoryTable = ({ memory }: Result): string =>
  table(
    ["with all connections closed", "descriptors", "sockets", "timers", "fibers", "heap MiB", "resident MiB"],
    memory.flatMap(({ after, before, process, start }) => [
      holdingsRow(`${process}, at the start`, start),
      holdingsRow(`${process}, after the warm-up`, before),
      holdingsRow(`${process}, at the end`, after)
    ])
  )

/** As many rows as can be read. */
const sampleTable = ({ samples }: Result): string => {
  const most = 20
  const size = Math.ceil(samples.length / most)
  const mean = (group: ReadonlyArray<Sample>, of: (one: Sample) => number) => group.reduce((sum, one) => sum + of(one), 0) / group.length
  const groups = Array.from({ length: Math.ceil(samples.length / size) }, (_, i) => samples.slice(i * size, (i + 1) * size))
  return table(
    ["until", "open", "messages/s", "MiB/s", "server CPU", "server MiB", "clients CPU", "clients MiB", "starved"],
    groups.map((group) => [
      clock(group.at(-1)!.second),
      number(Math.max(...group.map(({ open }) => open))),
      number(mean(group, ({ perSecond }) => perSecond)),
      mib(mean(group, ({ bytesPerSecond }) => bytesPerSecond), 1),
      percent(mean(group, ({ serverCpu }) => serverCpu)),
      mib(group.at(-1)!.serverResident),
      percent(mean(group, ({ clientCpu }) => clientCpu)),
      mib(group.at(-1)!.clientResident),
      percent(mean(group, ({ starved }) => starved))
    ])
  )
}

const countTable = (title: string, counts: Readonly<Record<string, number>>): string =>
  table([title, "count"], Object.entries(counts).toSorted(([a], [b]) => a < b ? -1 : 1).map(([name, count]) => [name, number(count)]))

const slowTable = ({ fates }: Result): string =>
  table(
    ["a peer that read", "connections", "accepted", "received", "lost", "not received, but reported"],
    Object.entries(fates.slow).toSorted(([a], [b]) => a < b ? -1 : 1).map(([name, counts]) =>
      [name, ...[counts.connections, counts.accepted, counts.received, counts.lost, counts.told].map((count) => number(count))]
    )
  )

const handlerTable = ({ fates }: Result): string =>
  table(
    ["handlers", "started", "ended", "left behind"],
    Object.entries(fates.handlers).toSorted(([a], [b]) => a < b ? -1 : 1).map(([name, { ended, started }]) =>
      [name, ...[started, ended, started - ended].map((count) => number(count))]
    )
  )

const stayTable = ({ fates }: Result): string =>
  table(
    ["seconds that a handler went on", "count", "50 %", "99 %", "most"],
    Object.entries(fates.stays).toSorted(([a], [b]) => a < b ? -1 : 1).map(([name, { histogram }]) =>
      [name, number(histogram.count), ...[histogram.percentile(0.5), histogram.percentile(0.99), histogram.max].map((millis) => number(millis / 1000, 2))]
    )
  )

const total = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((sum, count) => sum + count, 0)

const machine = (): string =>
  `${cpus()[0]?.model.trim() ?? "unknown CPU"} (${cpus().length}), ${number(totalmem() / 2 ** 30)} GiB, ` +
  `${platform()} ${release()} ${arch()}, Node ${process.version}`

const verdict = (result: Result): string =>
  result.failures.length === 0 ? "Passed: nothing was lost, nothing leaked, no handler was left behind." : `FAILED:\n${result.failures.map((failure) => `- ${failure}`).join("\n")}`

const problems = ({ tally }: Result): ReadonlyArray<string> =>
  tally.problems.length === 0 ? [] : [`The first of ${number(tally.problemCount)} problems:\n`, ...tally.problems.map((problem) => `- ${problem}`), ""]

const intro = (result: Result): string =>
  `${number(result.sent)} messages there and ${number(result.received)} back in ${clock(result.seconds)} minutes, on up to ` +
  `${number(result.peak)} connections at once, ${number(result.tally.connections)} in all; ` +
  `${number(total(result.peers) + total(result.servers))} connections of peers that misbehaved.`

/** Latencies of a machine that had other things to do say little of the library. */
const starvation = ({ samples }: Result): ReadonlyArray<string> => {
  const share = samples.reduce((sum, { starved }) => sum + starved, 0) / Math.max(1, samples.length)
  return share < 0.1 ? [] : [`The machine was overloaded: its processes waited for a CPU ${percent(share)} of the time.`, ""]
}

/** For the terminal. */
export const summary = (result: Result): string =>
  ["", intro(result), "", ...starvation(result), accountTable(result), "", slowTable(result), "", handlerTable(result), "", stayTable(result), "", latencyTable(result), "", memoryTable(result), "", ...problems(result), verdict(result)].join("\n")

/** To be kept, Markdown. */
export const markdown = (result: Result, options: Options, args: ReadonlyArray<string>): string =>
  `${[
    "# Soak",
    "",
    intro(result),
    "",
    ...starvation(result),
    `**${verdict(result)}**`,
    "",
    "```sh",
    ["npm run soak", ...args.length > 0 ? ["--", ...args] : []].join(" "),
    "```",
    "",
    `${new Date().toISOString().slice(0, 10)}, ${machine()}. The server and its clients are processes of their own on this one machine,`,
    "both with this library. CPU is the share of one CPU.",
    "",
    "## Messages",
    "",
    "Each message has a sequence number and a checksum over its contents, type, place and connection. Both ends check what",
    "they receive; when a connection has ended, what its client sent is compared with what the server received.",
    "",
    accountTable(result),
    "",
    `${number(result.pings)} pings were answered, besides those of the keepalive.`,
    "",
    countTable("message", result.kinds),
    "",
    countTable("how a connection ended", result.ways),
    "",
    ...problems(result),
    "## Slow peers",
    "",
    `${number(options.slow)} connections at a time with a peer that takes data slowly: half of them clients of our server, half of them`,
    `servers, raw ones and ours, of our clients. Each is sent about ${mib(options.slowBytes, 1)} MiB; 4 take it longer than the close deadline. *Lost* is`,
    "what `send` and `flush` accepted, or what was accepted before a close that reported `clean`, and did not arrive. What did",
    "not arrive while `clean` is false was reported to its sender.",
    "",
    slowTable(result),
    "",
    "## Handlers",
    "",
    `Every handler of the server is counted. ${number(options.leavers)} clients a second leave while one runs that does nothing (\`never\`), that`,
    "sends and never reads (`push`), that sends and drains (`drained`), that has read a message and works on it for an hour (`job`), or that echoes.",
    "",
    handlerTable(result),
    "",
    stayTable(result),
    "",
    `${number(options.subscribers)} clients at a time subscribe to handlers that send: they received ${number(result.fates.pushes.received)} messages, missed`,
    `${number(result.fates.pushes.lost)}, and had ${number(result.fates.pushes.pings)} Pings answered.`,
    "",
    "## Time from sending a message until its echo was checked",
    "",
    `${number(options.busy)} of ${number(options.connections)} connections talk without a pause, each with up to ${options.inFlight} messages that are not answered`,
    `yet (all together ${mib(options.inFlightBytes)} MiB), at most ${number(options.rate)} messages and ${mib(options.bytesPerSecond)} MiB a second in all. The others send`,
    `one every ${number(options.idleInterval)} s or so.`,
    "",
    latencyTable(result),
    "",
    "## What is left",
    "",
    "Descriptors, sockets, timers and fibers are compared with the start; the heap, after a collection, with its state",
    `after a warm-up of ${number(options.warmUp)} s with the same traffic, from which it may differ by ${mib(options.toleranceBytes)} MiB.`,
    "",
    memoryTable(result),
    "",
    "## The course",
    "",
    "Starved is the share of time for which a process was ready to run, but others had the CPU.",
    "",
    sampleTable(result),
    "",
    "## Peers that misbehaved",
    "",
    "Against the server, at the same time:",
    "",
    countTable("a client that", result.peers),
    "",
    "Against our clients, and what these saw of it:",
    "",
    countTable("a server that", result.servers)
  ].join("\n")}\n`
