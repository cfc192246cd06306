/**
 * What a connection reports: a span, log lines and metrics. Each can be turned off, for
 * all connections or for one.
 *
 * **Details**
 *
 * - The *span* of a connection (`websocket.server`, `websocket.client`) lasts from its
 *   opening handshake to the end of its transport. It begins a trace of its own and is
 *   linked to the span around it: the request's on a server, the caller's on a client.
 *   Without a tracer, or where the span around it is not sampled, there is none.
 * - The *log lines* report its opening, its end and refused handshakes, at `logLevel`.
 *   With `handlerLogs` a handler's own lines carry the same attributes.
 * - The *metrics* are listed at {@link metrics}. Connections count in plain fields, which
 *   are added up when the metrics are read: a message costs the same with and without
 *   them.
 *
 * Span and log lines carry these attributes, named as OpenTelemetry names them where it
 * has a name:
 *
 * | attribute | on | |
 * |---|---|---|
 * | `websocket.role` | both | `server` or `client` |
 * | `websocket.connection.id` | both | a number, unique in this process: `ws.id` |
 * | `network.protocol.name` | span | `websocket` |
 * | `client.address` | server | the peer's address, as `HttpServerRequest.remoteAddress` gives it |
 * | `server.address`, `server.port` | client | the address that it connects to |
 * | `url.path`, `url.scheme` | both | without the query, which often holds a token |
 * | `websocket.subprotocol` | both | where one was negotiated |
 * | `websocket.extension` | both | where one was negotiated |
 * | `websocket.close.code` | both | at the end; 1005 is an empty Close, 1006 none |
 * | `websocket.close.initiator` | both | at the end: `local` or `remote` |
 * | `error.type` | both | at the end, where a rule was broken or the connection broke |
 * | `websocket.messages.received`, `.sent` | span | at the end |
 * | `websocket.bytes.received`, `.sent` | span | at the end |
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { CurrentOptions, type Options, ProvidedObserver } from "./connection/Observer.ts"
import { observer } from "./connection/Telemetry.ts"

export { type ConnectionMetrics, metrics } from "./connection/Metrics.ts"
export { CurrentOptions, type Options } from "./connection/Observer.ts"

/**
 * Sets what is reported of connections. The `observability` option of one connection comes
 * before it.
 *
 * **Details**
 *
 * A client on the platform's own WebSocket (`NativeWebSocketClient`) reports nothing unless this layer, with
 * whatever options, is provided where it connects: a page that observes nothing does not load what observes.
 *
 * **Example** (No spans, and log lines that are shown)
 *
 * ```ts
 * import { Observability } from "@effect-ws/core"
 *
 * export const Quiet = Observability.layer({ span: false, logLevel: "Info" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never> =>
  Layer.succeedContext(Context.make(CurrentOptions, options).pipe(Context.add(ProvidedObserver, observer)))

/**
 * The metrics of the topics of a process.
 *
 * @category models
 * @since 0.1.0
 */
export interface TopicMetrics {
  /** `websocket.topics.active`: topics to which somebody in the process is subscribed, or was a moment ago. */
  readonly active: Metric.Gauge<number>
  /** `websocket.topics.subscriptions`: subscriptions of clients. */
  readonly subscriptions: Metric.Gauge<number>
  /** `websocket.topics.behind`: those of them that are served from history, since their clients take too little. */
  readonly behind: Metric.Gauge<number>
  /** `websocket.topics.lag`: how many publications the one that is furthest behind has not been sent. */
  readonly lag: Metric.Gauge<number>
  /** `websocket.topics.publications`: publications that the process heard of. */
  readonly publications: Metric.Counter<number>
  /** `websocket.topics.deliveries`: publications that were sent to clients. */
  readonly deliveries: Metric.Counter<number>
  /** `websocket.topics.recoveries`: subscriptions that began at a position of their own. */
  readonly recoveries: Metric.Counter<number>
  /** `websocket.topics.gaps`: gaps that subscribers were told of, by reason: `history` or `epoch`. */
  readonly gaps: Metric.Frequency
  /** `websocket.topics.broker.errors`: failures of the broker, by operation. */
  readonly brokerErrors: Metric.Frequency
}

const topicGauge = (name: string, description: string) => Metric.gauge(`websocket.topics.${name}`, { description })
const topicCounter = (name: string, description: string) =>
  Metric.counter(`websocket.topics.${name}`, { description, incremental: true })
const topicFrequency = (name: string, description: string) => Metric.frequency(`websocket.topics.${name}`, { description })

const makeTopicMetrics = (): TopicMetrics => ({
  active: topicGauge("active", "Topics to which somebody in the process is subscribed"),
  subscriptions: topicGauge("subscriptions", "Subscriptions of clients"),
  behind: topicGauge("behind", "Subscriptions that are served from history"),
  lag: topicGauge("lag", "Publications that the subscription that is furthest behind has not been sent"),
  publications: topicCounter("publications", "Publications that the process heard of"),
  deliveries: topicCounter("deliveries", "Publications that were sent to clients"),
  recoveries: topicCounter("recoveries", "Subscriptions that began at a position of their own"),
  gaps: topicFrequency("gaps", "Gaps that subscribers were told of, by reason"),
  brokerErrors: topicFrequency("broker.errors", "Failures of the broker, by operation")
})

/**
 * The metrics of topics.
 *
 * **Details**
 *
 * They carry the attributes of `Metric.CurrentMetricAttributes` where `Topics.layer` is built, and there are none where
 * `Observability.layer` turns metrics off. They are plain fields that are added up when the metrics are read: a delivery
 * costs the same with and without them.
 *
 * @category metrics
 * @since 0.1.0
 */
export const topicMetrics: TopicMetrics = /*#__PURE__*/ makeTopicMetrics()

/**
 * The metrics of the clients of topics in a process.
 *
 * @category models
 * @since 0.1.0
 */
export interface TopicClientMetrics {
  /** `websocket.topics.client.subscriptions`: streams that read a topic. */
  readonly subscriptions: Metric.Gauge<number>
  /** `websocket.topics.client.behind`: those of them that have not taken what was queued, and are served from history then. */
  readonly behind: Metric.Gauge<number>
  /** `websocket.topics.client.waiting`: publications that wait for their acknowledgement. */
  readonly waiting: Metric.Gauge<number>
  /** `websocket.topics.client.deliveries`: publications that were given to readers. */
  readonly deliveries: Metric.Counter<number>
  /** `websocket.topics.client.publications`: publications that were acknowledged. */
  readonly publications: Metric.Counter<number>
  /** `websocket.topics.client.recoveries`: how often a topic was asked for from a position on, behind a lost connection for example. */
  readonly recoveries: Metric.Counter<number>
  /** `websocket.topics.client.gaps`: gaps that readers were told of, by reason: `history` or `epoch`. */
  readonly gaps: Metric.Frequency
  /** `websocket.topics.client.failures`: what servers did not do, by code: `unavailable`, `defect`, `refused` and others. */
  readonly failures: Metric.Frequency
}

const makeTopicClientMetrics = (): TopicClientMetrics => ({
  subscriptions: topicGauge("client.subscriptions", "Streams that read a topic"),
  behind: topicGauge("client.behind", "Streams that have not taken what was queued for them"),
  waiting: topicGauge("client.waiting", "Publications that wait for their acknowledgement"),
  deliveries: topicCounter("client.deliveries", "Publications that were given to readers"),
  publications: topicCounter("client.publications", "Publications that were acknowledged"),
  recoveries: topicCounter("client.recoveries", "Topics that were asked for from a position on"),
  gaps: topicFrequency("client.gaps", "Gaps that readers were told of, by reason"),
  failures: topicFrequency("client.failures", "What servers did not do, by code")
})

/**
 * The metrics of clients of topics.
 *
 * **Details**
 *
 * They carry the attributes of `Metric.CurrentMetricAttributes` where `TopicClient.make` ran, and count all such clients of a
 * process. `Observability.layer({ metrics: false })` turns them off there.
 *
 * @category metrics
 * @since 0.1.0
 */
export const topicClientMetrics: TopicClientMetrics = /*#__PURE__*/ makeTopicClientMetrics()
