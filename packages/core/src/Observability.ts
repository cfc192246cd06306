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
import type * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"

/**
 * What is reported of a connection. Options left out are those of {@link CurrentOptions}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Whether a connection has a span, where there is a tracer. Default true. */
  readonly span?: boolean | undefined
  /** Whether a connection logs. Default true. */
  readonly logs?: boolean | undefined
  /**
   * The level of the log lines. Default `Debug`, which Effect does not show by default,
   * because peers decide how many lines there are.
   */
  readonly logLevel?: LogLevel.Severity | undefined
  /**
   * Whether what the handler of `WebSocketServer.handle` logs carries the attributes of its
   * connection. Default false: the context that this needs costs an idle connection about
   * 0.7 KiB.
   */
  readonly handlerLogs?: boolean | undefined
  /** Whether a connection counts in the metrics. Default true. */
  readonly metrics?: boolean | undefined
}

/**
 * The options of connections that are not given their own.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentOptions: Context.Reference<Options> = Context.Reference<Options>(
  "@effect-ws/core/Observability/CurrentOptions",
  { defaultValue: () => ({}) }
)

/**
 * Sets what is reported of connections. The `observability` option of one connection comes
 * before it.
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
export const layer = (options: Options): Layer.Layer<never> => Layer.succeed(CurrentOptions, options)

/**
 * The metrics of the connections of one role.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionMetrics {
  /** `websocket.active_connections`: connections that are open. */
  readonly activeConnections: Metric.Gauge<number>
  /** `websocket.connections`: connections that were opened. */
  readonly connections: Metric.Counter<number>
  /** `websocket.connection.duration`: seconds that connections were open. */
  readonly connectionDuration: Metric.Histogram<number>
  /**
   * `websocket.handshake.failures`: handshakes that were refused or failed, by the `reason`
   * of the `HandshakeError` or `IOError`.
   */
  readonly handshakeFailures: Metric.Frequency
  /** `websocket.close.codes`: connections that ended, by close code. */
  readonly closeCodes: Metric.Frequency
  /** `websocket.messages`, `network.io.direction` `receive`: messages that were received. */
  readonly messagesReceived: Metric.Counter<number>
  /** `websocket.messages`, `network.io.direction` `transmit`: messages that were sent. */
  readonly messagesSent: Metric.Counter<number>
  /** `websocket.io`, `receive`: bytes of frames that were received. */
  readonly bytesReceived: Metric.Counter<number>
  /** `websocket.io`, `transmit`: bytes of frames that were sent. */
  readonly bytesSent: Metric.Counter<number>
  /** `websocket.buffered`, `receive`: bytes that were received and not yet read. */
  readonly bytesUnread: Metric.Gauge<number>
  /** `websocket.buffered`, `transmit`: bytes that the socket has not taken yet. */
  readonly bytesUnsent: Metric.Gauge<number>
  /** `websocket.ping.duration`: seconds from a Ping to its Pong, the keepalive's included. */
  readonly roundTrip: Metric.Histogram<number>
  /**
   * `websocket.compression.ratio`, `receive`: how many times larger compressed messages
   * were before. 1 where there were none.
   */
  readonly compressionReceived: Metric.Gauge<number>
  /** `websocket.compression.ratio`, `transmit`. */
  readonly compressionSent: Metric.Gauge<number>
}

const exponents = (from: number, to: number): ReadonlyArray<number> => {
  const bounds: Array<number> = []
  for (let power = from; power < to; power++) for (const step of [1, 2.5, 5]) bounds.push(Number(`${step}e${power}`))
  bounds.push(Number(`1e${to}`))
  return bounds
}

const make = (role: "client" | "server"): ConnectionMetrics => {
  const own = { "websocket.role": role }
  const receive = { ...own, "network.io.direction": "receive" }
  const transmit = { ...own, "network.io.direction": "transmit" }
  const messages = (attributes: Record<string, string>) =>
    Metric.counter("websocket.messages", { description: "WebSocket messages", attributes, incremental: true })
  const io = (attributes: Record<string, string>) =>
    Metric.counter("websocket.io", {
      description: "Bytes of WebSocket frames",
      attributes: { ...attributes, unit: "bytes" },
      incremental: true
    })
  const buffered = (attributes: Record<string, string>) =>
    Metric.gauge("websocket.buffered", {
      description: "Bytes that wait to be read, or to be taken by a socket",
      attributes: { ...attributes, unit: "bytes" }
    })
  const ratio = (attributes: Record<string, string>) =>
    Metric.gauge("websocket.compression.ratio", {
      description: "How many times larger compressed messages were before",
      attributes
    })
  return {
    activeConnections: Metric.gauge("websocket.active_connections", {
      description: "WebSocket connections that are open",
      attributes: own
    }),
    connections: Metric.counter("websocket.connections", {
      description: "WebSocket connections that were opened",
      attributes: own,
      incremental: true
    }),
    connectionDuration: Metric.histogram("websocket.connection.duration", {
      description: "How long WebSocket connections were open",
      attributes: { ...own, unit: "seconds" },
      boundaries: exponents(-1, 5)
    }),
    handshakeFailures: Metric.frequency("websocket.handshake.failures", {
      description: "Opening handshakes that were refused or failed, by reason",
      attributes: own
    }),
    closeCodes: Metric.frequency("websocket.close.codes", {
      description: "WebSocket connections that ended, by close code",
      attributes: own
    }),
    messagesReceived: messages(receive),
    messagesSent: messages(transmit),
    bytesReceived: io(receive),
    bytesSent: io(transmit),
    bytesUnread: buffered(receive),
    bytesUnsent: buffered(transmit),
    roundTrip: Metric.histogram("websocket.ping.duration", {
      description: "Round trips of Pings",
      attributes: { ...own, unit: "seconds" },
      boundaries: exponents(-4, 1)
    }),
    compressionReceived: ratio(receive),
    compressionSent: ratio(transmit)
  }
}

/**
 * The metrics of servers and of clients.
 *
 * **When to use**
 *
 * To read one of them in a program. Exporters (`PrometheusMetrics`, `OtlpMetrics`, DevTools)
 * find them by themselves, from the first connection or refusal on.
 *
 * **Details**
 *
 * They carry `websocket.role`, and the attributes of `Metric.CurrentMetricAttributes` where
 * the connection was made: use it to tell routes apart. Prometheus shows the dots of the
 * names as underscores.
 *
 * **Gotchas**
 *
 * Peers choose close codes from 3000 to 4999: beyond 64 different ones the others are
 * counted as `other`.
 *
 * **Example** (Who is connected)
 *
 * ```ts
 * import { Observability } from "@effect-ws/core"
 * import { Effect, Metric } from "effect"
 *
 * export const report = Effect.gen(function*() {
 *   const { value } = yield* Metric.value(Observability.metrics.server.activeConnections)
 *   const { occurrences } = yield* Metric.value(Observability.metrics.server.closeCodes)
 *   yield* Effect.log(`${value} connections are open, ${occurrences.get("1006") ?? 0} were lost`)
 * })
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const metrics: { readonly client: ConnectionMetrics; readonly server: ConnectionMetrics } = {
  client: make("client"),
  server: make("server")
}

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
