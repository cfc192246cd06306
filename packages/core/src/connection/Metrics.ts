/** The metrics of connections. */
import * as Metric from "effect/Metric"

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
