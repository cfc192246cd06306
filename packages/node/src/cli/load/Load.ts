/**
 * `effect-ws load`: sends many messages on many connections and measures their latencies.
 */
import { CloseCode, type WebSocket, type WebSocketClient } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { performance } from "node:perf_hooks"
import { type ClientFlags, connect, connectOptions, dialer, insecureWarning, isSecure, withScheme } from "../Dial.ts"
import { failed, type Failure } from "../Failure.ts"
import * as Progress from "../terminal/Progress.ts"
import * as Style from "../terminal/Style.ts"
import * as Table from "../terminal/Table.ts"
import { plural, showBytes, showCount, showMillis } from "../text/Quantities.ts"
import { Latencies, percentiles, type Summary } from "./Latencies.ts"
import { type Counts, Runner } from "./Runner.ts"

export interface Options extends ClientFlags {
  readonly url: string
  readonly connections: number
  readonly ramp: number
  readonly duration: number
  readonly messages: Option.Option<number>
  readonly rate: Option.Option<number>
  readonly depth: number
  readonly size: number
  readonly binary: boolean
  readonly oneWay: boolean
  readonly expect: ReadonlyArray<readonly [percentile: number, millis: number]>
  readonly json: boolean
}

const tell = (line: string) => void process.stderr.write(`${line}\n`)
const write = (text: string) => void process.stdout.write(`${text}\n`)

/** How many handshakes are under way at once without a ramp. */
const atOnce = 64
/** How long messages that are under way at the end may take to come back. */
const settling = 5000

interface Opened {
  readonly connections: ReadonlyArray<WebSocket.WebSocket>
  readonly latencies: Latencies
  readonly failures: ReadonlyArray<Failure>
  readonly millis: number
}

/** Opens the connections at even intervals over the ramp. */
const openAll = (
  options: Options,
  url: string,
  progress: Progress.Progress
): Effect.Effect<Opened, never, WebSocketClient.Connector | Scope.Scope> =>
  Effect.gen(function*() {
    const style = Style.of(process.stderr)
    const connectTo = connectOptions(options, {
      maxMessageSize: Math.max(1024 * 1024, 2 * options.size),
      // Room for the messages that become due between two turns of the event loop.
      outboundHighWaterMark: Math.max(64 * 1024, 4 * options.size)
    })
    const latencies = new Latencies()
    const failures: Array<Failure> = []
    const began = performance.now()
    let done = 0
    const one = (index: number) =>
      Effect.gen(function*() {
        const at = began + options.ramp * index / options.connections
        if (at > performance.now()) yield* Effect.sleep(at - performance.now())
        const started = performance.now()
        const result = yield* Effect.result(connect(url, connectTo, style))
        progress.show(++done / options.connections, `opening ${showCount(done)} of ${plural(options.connections, "connection")}`)
        if (Result.isFailure(result)) {
          failures.push(result.failure)
          return []
        }
        latencies.record(performance.now() - started)
        return [result.success]
      })
    const opened = yield* Effect.forEach(Array.from({ length: options.connections }, (_, index) => index), one, {
      concurrency: options.ramp > 0 ? "unbounded" : atOnce
    })
    return { connections: opened.flat(), latencies, failures, millis: performance.now() - began }
  })

/** Shows the progress ten times a second. */
const watching = (runner: Runner, options: Options, progress: Progress.Progress) =>
  Effect.gen(function*() {
    const style = Style.of(process.stderr)
    const most = Option.map(options.messages, (messages) => messages * options.connections)
    let before = { at: performance.now(), received: 0 }
    let rate = 0
    while (true) {
      yield* Effect.sleep(100)
      const now = performance.now()
      const { broken, received, sent, wrong } = runner.counts
      const moved = options.oneWay ? sent : received
      const passed = now - before.at
      // In the first second the rate is that of the time until now.
      if (passed >= 1000 || before.received === 0) rate = (moved - before.received) / (passed / 1000)
      if (passed >= 1000) before = { at: now, received: moved }
      const part = Option.match(most, {
        onNone: () => runner.seconds * 1000 / options.duration,
        onSome: (most) => Math.max(sent / most, runner.seconds * 1000 / options.duration)
      })
      const bad = broken + wrong === 0 ? "" : style.red(` ${showCount(broken)} broken, ${showCount(wrong)} wrong`)
      const times = options.oneWay ? "" : `, p50 ${showMillis(runner.latencies.at(50))}, p99 ${showMillis(runner.latencies.at(99))}`
      progress.show(part, `${showCount(rate)} msg/s${times}${bad}`)
    }
  })

interface Report {
  readonly url: string
  readonly opened: Opened
  readonly counts: Counts
  readonly latencies: Summary
  readonly seconds: number
  /** How much of its time this program's own thread worked, from 0 to 1. */
  readonly busy: number
}

const lostOf = (options: Options, { received, sent }: Counts): number => options.oneWay ? 0 : Math.max(0, sent - received)

const latencyTable = (summary: Summary, style: Style.Style): string =>
  Table.render(
    ["", "least", "mean", ...percentiles.map((percentile) => `p${percentile}`), "most"],
    [["latency", ...[summary.least, summary.mean, ...summary.percentiles.map(([, millis]) => millis), summary.most].map(showMillis)]],
    style
  )

const showReport = (options: Options, { busy, counts, latencies, opened, seconds, url }: Report): void => {
  const style = Style.of(process.stdout)
  const { behind, broken, received, sent, wrong } = counts
  const lost = lostOf(options, counts)
  const moved = options.oneWay ? sent : received
  const bad = (count: number, text: string) => count === 0 ? [] : [style.red(text)]
  write([
    `${plural(opened.connections.length, "connection")} to ${url} ${style.dim(`in ${showMillis(opened.millis)}`)}, ` +
    `opening p50 ${showMillis(opened.latencies.at(50))}, p99 ${showMillis(opened.latencies.at(99))}`,
    `${showCount(sent)} messages of ${showBytes(options.size)} sent in ${showMillis(seconds * 1000)}` +
    (options.oneWay ? "" : `, ${showCount(received)} came back`),
    `${showCount(moved / seconds)} messages a second, ${showBytes(moved * options.size / seconds)} a second` +
    Option.match(options.rate, { onNone: () => "", onSome: (rate) => style.dim(` (asked for ${showCount(rate)})`) }),
    ...(options.oneWay ? [] : ["", latencyTable(latencies, style)]),
    "",
    ...(options.oneWay ? [] : [style.dim(
      Option.isSome(options.rate)
        ? "Latencies are measured from the moment at which a message was due, even if it was sent later."
        : `Each connection waited for answers (${options.depth} under way): a slow server got fewer messages. See --rate.`
    )]),
    ...bad(opened.failures.length, `${plural(opened.failures.length, "connection")} failed; the first: ${opened.failures[0]?.text ?? ""}`),
    ...bad(broken, `${plural(broken, "connection")} ended too early`),
    ...bad(lost, `${plural(lost, "message")} did not come back`),
    ...bad(wrong, `${plural(wrong, "message")} came back altered, out of order or unasked for`),
    ...bad(behind, `${plural(behind, "message")} could not be sent when they were due`),
    ...(busy > 0.9
      ? [style.yellow(`This program was busy for ${Math.round(busy * 100)} % of the time: it may be slower than the server. Run several.`)]
      : [])
  ].join("\n"))
}

const toJson = (options: Options, { busy, counts, latencies, opened, seconds, url }: Report): string => {
  const millis = (value: number) => Number(value.toFixed(3))
  const summary = ({ least, mean, most, percentiles }: Summary) => ({
    least: millis(least),
    mean: millis(mean),
    ...Object.fromEntries(percentiles.map(([percentile, value]) => [`p${percentile}`, millis(value)])),
    most: millis(most)
  })
  return JSON.stringify({
    url,
    connections: { asked: options.connections, open: opened.connections.length, failed: opened.failures.length, broken: counts.broken },
    opening: summary(opened.latencies.summary),
    seconds: millis(seconds),
    size: options.size,
    rate: { asked: Option.getOrNull(options.rate), sent: millis(counts.sent / seconds), received: millis(counts.received / seconds) },
    messages: { sent: counts.sent, received: counts.received, lost: lostOf(options, counts), wrong: counts.wrong, behind: counts.behind },
    latency: options.oneWay ? null : summary(latencies),
    busy: millis(busy)
  })
}

/** The expectations that were not met. */
const complaints = (options: Options, runner: Runner): ReadonlyArray<string> =>
  options.expect.flatMap(([percentile, limit]) => {
    const at = runner.latencies.at(percentile)
    return at <= limit ? [] : [`p${percentile} is ${showMillis(at)}, above ${showMillis(limit)}`]
  })

const load = (options: Options, url: string) =>
  Effect.gen(function*() {
    const style = Style.of(process.stderr)
    const progress = Progress.make(process.stderr, style)
    yield* Effect.addFinalizer(() => Effect.sync(progress.end))
    const opened = yield* openAll(options, url, progress)
    const [failure] = opened.failures
    if (opened.connections.length === 0 && failure !== undefined) return yield* failure

    const runner = new Runner(opened.connections, {
      size: options.size,
      binary: options.binary,
      rate: Option.getOrUndefined(options.rate),
      depth: options.depth,
      isOneWay: options.oneWay
    })
    yield* Effect.forkScoped(runner.reading)
    const utilization = performance.eventLoopUtilization()
    const report = Effect.suspend(() => {
      progress.end()
      const busy = performance.eventLoopUtilization(utilization).utilization
      const made = { url, opened, counts: runner.counts, latencies: runner.latencies.summary, seconds: runner.seconds, busy }
      if (options.json) write(toJson(options, made))
      else showReport(options, made)
      const { broken, wrong } = made.counts
      const missed = complaints(options, runner)
      for (const complaint of missed) tell(style.red(complaint))
      const isGood = missed.length + opened.failures.length + broken + wrong + lostOf(options, made.counts) === 0
      return isGood ? Effect.void : Effect.fail(failed(""))
    })
    const sending = Effect.raceFirst(
      runner.send(options.duration, Option.getOrElse(options.messages, () => Infinity)),
      watching(runner, options, progress)
    ).pipe(Effect.andThen(runner.settle(settling)))
    // An interrupted run still reports its measurements so far.
    yield* Effect.onInterrupt(sending, () => Effect.ignore(report))
    const result = yield* Effect.result(report)
    yield* Effect.forEach(opened.connections, (ws) => Effect.orDie(ws.close(CloseCode.NormalClosure)), {
      concurrency: "unbounded",
      discard: true
    })
    yield* Effect.fromResult(result)
  }).pipe(Effect.scoped)

/** Runs the command. */
export const run = (options: Options): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const url = withScheme(options.url)
    if (options.insecure && isSecure(url)) tell(insecureWarning(Style.of(process.stderr)))
    const dial = yield* dialer(options)
    yield* Effect.provide(load(options, url), dial)
  })
