/**
 * The metrics of all connections of one role, in one registry, with one set of attributes.
 * Connections count in their own fields, which are added up when a metric is read, and finally
 * once nothing is counted any more. So a message costs no update of a metric, and an idle
 * connection costs an entry in a set.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import { type ConnectionMetrics, metrics } from "./Metrics.ts"
import type { LinkObserver, ObservedLink } from "./LinkHooks.ts"

interface Counts {
  readonly messagesReceived: number
  readonly messagesSent: number
  readonly bytesReceived: number
  readonly bytesSent: number
  readonly bytesUnread: number
  readonly bytesUnsent: number
  readonly decoderInput: number
  readonly decoderOutput: number
  readonly encoderInput: number
  readonly encoderOutput: number
}

type Sums = { -readonly [K in keyof Counts]: number }

const zero = (): Sums => ({
  messagesReceived: 0,
  messagesSent: 0,
  bytesReceived: 0,
  bytesSent: 0,
  bytesUnread: 0,
  bytesUnsent: 0,
  decoderInput: 0,
  decoderOutput: 0,
  encoderInput: 0,
  encoderOutput: 0
})

/** Adds the counters that only grow. */
const add = (sums: Sums, link: ObservedLink): void => {
  const { protocol } = link
  sums.messagesReceived += protocol.inbound.receivedMessages
  sums.messagesSent += protocol.outbound.sentMessages
  sums.bytesReceived += link.receivedBytes
  sums.bytesSent += link.sentBytes
  const compression = link.compression?.()
  if (compression === undefined) return
  sums.decoderInput += compression.received.compressed
  sums.decoderOutput += compression.received.uncompressed
  sums.encoderInput += compression.sent.uncompressed
  sums.encoderOutput += compression.sent.compressed
}

// A snapshot reads every metric in one run of JavaScript. With this many connections
// they are added up once for all of them.
const manyLinks = 1000

// Peers choose codes, and each one costs a series in the store of metrics.
const maxCodes = 64

export class Meter implements LinkObserver {
  private readonly metrics: ConnectionMetrics
  private readonly context: Context.Context<never>
  private readonly links = new Set<ObservedLink>()
  private readonly ended = zero()
  private shared: Counts | undefined
  private active = 0
  private opened = 0
  private readonly codes = new Map<string, number>()
  private readonly failures = new Map<string, number>()

  constructor(metrics: ConnectionMetrics, context: Context.Context<never>) {
    this.metrics = metrics
    this.context = context
    this.register()
  }

  opens(link: ObservedLink): void {
    this.links.add(link)
    this.active++
    this.opened++
  }

  /** The connection was not opened. */
  withdraw(link: ObservedLink): void {
    if (!this.links.delete(link)) return
    this.active--
    this.opened--
  }

  onGone(link: ObservedLink): void {
    this.active--
    count(this.codes, String(link.closeInfo.code))
    this.metrics.connectionDuration.updateUnsafe((link.goneAt! - link.openedAt) / 1000, this.context)
  }

  onDisposed(link: ObservedLink): void {
    if (this.links.delete(link)) add(this.ended, link)
  }

  onRoundTrip(millis: number): void {
    this.metrics.roundTrip.updateUnsafe(millis / 1000, this.context)
  }

  handshakeFailed(reason: string): void {
    count(this.failures, reason)
  }

  private get sums(): Counts {
    if (this.shared !== undefined) return this.shared
    const sums = { ...this.ended }
    for (const link of this.links) {
      add(sums, link)
      sums.bytesUnread += link.protocol.inbound.queuedBytes
      sums.bytesUnsent += link.bufferedBytes
    }
    if (this.links.size >= manyLinks) {
      this.shared = sums
      queueMicrotask(() => {
        this.shared = undefined
      })
    }
    return sums
  }

  private register(): void {
    const { metrics } = this
    this.gauge(metrics.activeConnections, () => this.active)
    this.counter(metrics.connections, () => this.opened)
    this.frequency(metrics.handshakeFailures, this.failures)
    this.frequency(metrics.closeCodes, this.codes)
    this.counter(metrics.messagesReceived, () => this.sums.messagesReceived)
    this.counter(metrics.messagesSent, () => this.sums.messagesSent)
    this.counter(metrics.bytesReceived, () => this.sums.bytesReceived)
    this.counter(metrics.bytesSent, () => this.sums.bytesSent)
    this.gauge(metrics.bytesUnread, () => this.sums.bytesUnread)
    this.gauge(metrics.bytesUnsent, () => this.sums.bytesUnsent)
    this.gauge(metrics.compressionReceived, () => ratio(this.sums.decoderOutput, this.sums.decoderInput))
    this.gauge(metrics.compressionSent, () => ratio(this.sums.encoderInput, this.sums.encoderOutput))
  }

  private gauge(metric: Metric.Gauge<number>, value: () => number): void {
    Metric.registerUnsafe(metric, this.context, { get: () => ({ value: value() }), update: ignore, modify: ignore })
  }

  private counter(metric: Metric.Counter<number>, count: () => number): void {
    const get = () => ({ count: count(), incremental: true })
    Metric.registerUnsafe(metric, this.context, { get, update: ignore, modify: ignore })
  }

  private frequency(metric: Metric.Frequency, occurrences: ReadonlyMap<string, number>): void {
    const get = () => ({ occurrences })
    Metric.registerUnsafe(metric, this.context, { get, update: ignore, modify: ignore })
  }
}

const ignore = (): void => {}

const ratio = (large: number, small: number): number => small === 0 ? 1 : large / small

const count = (occurrences: Map<string, number>, key: string): void => {
  const known = occurrences.has(key) || occurrences.size < maxCodes ? key : "other"
  occurrences.set(known, (occurrences.get(known) ?? 0) + 1)
}

type Role = "client" | "server"

class Meters {
  readonly byKey = new Map<string, Meter>()
  // Nearly always the same object, so its entries are not compared for each connection.
  lastAttributes: object | undefined
  readonly last: { [role in Role]: Meter | undefined } = { client: undefined, server: undefined }
}

const byRegistry = new WeakMap<Metric.MetricRegistry, Meters>()

/** The meter of the registry and the attributes in a context. */
export const meterOf = (role: Role, context: Context.Context<never>): Meter => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const attributes = Context.get(context, Metric.CurrentMetricAttributes)
  let meters = byRegistry.get(registry)
  if (meters === undefined) {
    meters = new Meters()
    byRegistry.set(registry, meters)
  }
  if (meters.lastAttributes !== attributes) {
    meters.lastAttributes = attributes
    meters.last.client = meters.last.server = undefined
  }
  return meters.last[role] ??= meterIn(meters.byKey, role, registry, attributes)
}

const meterIn = (
  meters: Map<string, Meter>,
  role: Role,
  registry: Metric.MetricRegistry,
  attributes: Metric.Metric.AttributeSet
): Meter => {
  const entries = Object.entries(attributes).sort(([a], [b]) => a < b ? -1 : 1)
  const key = entries.length === 0 ? role : `${role} ${JSON.stringify(entries)}`
  let meter = meters.get(key)
  if (meter === undefined) {
    // Captures no more than it needs, because it lives as long as the registry.
    const own = Context.make(Metric.MetricRegistry, registry).pipe(
      Context.add(Metric.CurrentMetricAttributes, attributes)
    ) as Context.Context<never>
    meter = new Meter(metrics[role], own)
    meters.set(key, meter)
  }
  return meter
}
