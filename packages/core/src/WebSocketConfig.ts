/**
 * The options of connections, read from Effect's `Config` as one group: from environment
 * variables by default, or from whatever `ConfigProvider` is in effect.
 *
 * **Details**
 *
 * Each function takes the prefix of its variables and returns what the options of that
 * name take. A variable that is not set leaves its default; one that cannot be read fails
 * with a `ConfigError` that names it.
 *
 * Sizes are bytes, with a unit if you like (`65536`, `64 KiB`); durations have a unit
 * (`500 millis`, `10 seconds`) or are `infinity`; booleans are `true` or `false` (`yes`,
 * `on`, `1`; `no`, `off`, `0`); lists are separated by commas.
 *
 * **Example** (A server that is configured by its environment)
 *
 * ```ts
 * import { WebSocketConfig, WebSocketServer } from "@effect-ws/core"
 * import { Effect, Layer, Stream } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * // WEBSOCKET_MAX_MESSAGE_SIZE="64 KiB" WEBSOCKET_KEEP_ALIVE=off node server.ts
 * export const Echo = Layer.unwrap(Effect.map(WebSocketConfig.accept("WEBSOCKET"), (options) =>
 *   HttpRouter.add("GET", "/echo", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), options))))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as LogLevel from "effect/LogLevel"
import * as Result from "effect/Result"
import { boolean, digits, duration, integer, list, oneOf, parseDuration, size, variable } from "./config/Variable.ts"
import type * as Limits from "./Limits.ts"
import type * as Observability from "./Observability.ts"
import * as Origin from "./Origin.ts"
import { checkClose } from "./protocol/CloseFrame.ts"
import type * as PerMessageDeflate from "./PerMessageDeflate.ts"
import type { OnDisconnect } from "./WebSocket.ts"
import type { ConnectOptions } from "./WebSocketClient.ts"
import type { AcceptOptions, PerAddress, ShutdownOptions } from "./WebSocketServer.ts"

const within = (prefix: string | undefined) => <A>(config: Config.Config<A>): Config.Config<A> =>
  prefix === undefined ? config : Config.nested(config, prefix)

// Groups are combined before they are nested, so that each is nested once.
const slowConsumer: Config.Config<Limits.SlowConsumer | undefined> = Config.map(
  Config.all([
    oneOf("SLOW_CONSUMER", ["suspend", "dropNewest", "dropOldest", "close1008", "close1013"]),
    duration("SLOW_CONSUMER_AFTER"),
    size("SLOW_CONSUMER_MAX_BYTES")
  ]),
  ([word, after, maxBytes]) =>
    word === "close1008" ? { close: 1008, after, maxBytes } : word === "close1013" ? { close: 1013, after, maxBytes } : word
)

const limitsGroup: Config.Config<Limits.Options> = Config.all({
  maxMessageSize: size("MAX_MESSAGE_SIZE"),
  maxStreamedMessageSize: size("MAX_STREAMED_MESSAGE_SIZE"),
  fragments: Config.all({ max: integer("FRAGMENTS_MAX", 1), charge: size("FRAGMENTS_CHARGE", 0) }),
  controlFrames: Config.all({
    max: integer("CONTROL_FRAMES_MAX", 1),
    interval: duration("CONTROL_FRAMES_INTERVAL")
  }),
  inboundHighWaterMark: size("INBOUND_HIGH_WATER_MARK"),
  outboundHighWaterMark: size("OUTBOUND_HIGH_WATER_MARK"),
  slowConsumer,
  messageProgress: Config.all({
    bytes: size("MESSAGE_PROGRESS_BYTES"),
    timeout: duration("MESSAGE_PROGRESS_TIMEOUT")
  }),
  idleTimeout: duration("IDLE_TIMEOUT"),
  handshakeTimeout: duration("HANDSHAKE_TIMEOUT"),
  keepAlive: Config.map(
    Config.all([
      boolean("KEEP_ALIVE"),
      duration("KEEP_ALIVE_INTERVAL"),
      duration("KEEP_ALIVE_TIMEOUT")
    ]),
    ([isOn, interval, timeout]) => isOn === false ? false as const : { interval, timeout }
  ),
  closeTimeout: duration("CLOSE_TIMEOUT"),
  closeLimit: duration("CLOSE_LIMIT"),
  maxUnread: size("MAX_UNREAD"),
  unreadTimeout: duration("UNREAD_TIMEOUT"),
  stalledWriteTimeout: duration("STALLED_WRITE_TIMEOUT")
})

/**
 * Limits and deadlines, one variable for each option of `Limits.Options`.
 *
 * **Details**
 *
 * | variable | option | default |
 * |---|---|---|
 * | `MAX_MESSAGE_SIZE` | `maxMessageSize` | 1 MiB |
 * | `MAX_STREAMED_MESSAGE_SIZE` | `maxStreamedMessageSize` | 64 GiB |
 * | `FRAGMENTS_MAX` | `fragments.max` | 131072 |
 * | `FRAGMENTS_CHARGE` | `fragments.charge` | 64 |
 * | `CONTROL_FRAMES_MAX` | `controlFrames.max` | 1000 |
 * | `CONTROL_FRAMES_INTERVAL` | `controlFrames.interval` | 10 seconds |
 * | `INBOUND_HIGH_WATER_MARK` | `inboundHighWaterMark` | 64 KiB |
 * | `OUTBOUND_HIGH_WATER_MARK` | `outboundHighWaterMark` | 64 KiB |
 * | `SLOW_CONSUMER` | `slowConsumer`: `suspend`, `dropNewest`, `dropOldest`, `close1008`, `close1013` | suspend |
 * | `SLOW_CONSUMER_AFTER` | `slowConsumer.after`, where it closes | 5 seconds |
 * | `SLOW_CONSUMER_MAX_BYTES` | `slowConsumer.maxBytes`, where it closes | 1 MiB |
 * | `MESSAGE_PROGRESS_BYTES` | `messageProgress.bytes` | 64 KiB |
 * | `MESSAGE_PROGRESS_TIMEOUT` | `messageProgress.timeout` | 60 seconds |
 * | `IDLE_TIMEOUT` | `idleTimeout` | infinity |
 * | `HANDSHAKE_TIMEOUT` | `handshakeTimeout` | 10 seconds |
 * | `KEEP_ALIVE` | `keepAlive`: `off` turns it off | on |
 * | `KEEP_ALIVE_INTERVAL` | `keepAlive.interval` | 20 seconds |
 * | `KEEP_ALIVE_TIMEOUT` | `keepAlive.timeout` | 20 seconds |
 * | `CLOSE_TIMEOUT` | `closeTimeout` | 5 seconds |
 * | `CLOSE_LIMIT` | `closeLimit` | 60 seconds |
 * | `MAX_UNREAD` | `maxUnread` | 16 MiB |
 * | `UNREAD_TIMEOUT` | `unreadTimeout` | 5 minutes |
 * | `STALLED_WRITE_TIMEOUT` | `stalledWriteTimeout` | 30 seconds |
 *
 * **Example** (Reading them from a record)
 *
 * ```ts
 * import { Limits, WebSocketConfig } from "@effect-ws/core"
 * import { ConfigProvider, Effect } from "effect"
 *
 * const env = { WEBSOCKET_MAX_MESSAGE_SIZE: "64 KiB", WEBSOCKET_CLOSE_TIMEOUT: "1 second" }
 * const limits = WebSocketConfig.limits("WEBSOCKET").parse(ConfigProvider.fromEnv({ env }))
 * console.log(Limits.make(Effect.runSync(limits)).maxMessageSize) // 65536
 * ```
 *
 * @category configuration
 * @since 0.1.0
 */
export const limits = (prefix?: string): Config.Config<Limits.Options> => within(prefix)(limitsGroup)

type Level = PerMessageDeflate.Options["level"]
type Bits = PerMessageDeflate.WindowBits | undefined

const compressionGroup = (byDefault: boolean): Config.Config<boolean | PerMessageDeflate.Options> =>
  Config.map(
    Config.all({
      isOn: boolean("COMPRESSION"),
      threshold: size("COMPRESSION_THRESHOLD", 0),
      // The bounds are those of the types, which is why the casts hold.
      level: integer("COMPRESSION_LEVEL", 1, 9) as Config.Config<Level>,
      memLevel: integer("COMPRESSION_MEM_LEVEL", 1, 9) as Config.Config<Level>,
      ownBits: integer("COMPRESSION_WINDOW_BITS_OWN", 9, 15) as Config.Config<Bits>,
      peerBits: integer("COMPRESSION_WINDOW_BITS_PEER", 9, 15) as Config.Config<Bits>,
      ownNoTakeover: boolean("COMPRESSION_NO_CONTEXT_TAKEOVER_OWN"),
      peerNoTakeover: boolean("COMPRESSION_NO_CONTEXT_TAKEOVER_PEER")
    }),
    ({ isOn, level, memLevel, ownBits, ownNoTakeover, peerBits, peerNoTakeover, threshold }) => {
      return (isOn ?? byDefault) && {
        threshold,
        level,
        memLevel,
        windowBits: { own: ownBits, peer: peerBits },
        noContextTakeover: { own: ownNoTakeover, peer: peerNoTakeover }
      }
    }
  )

/**
 * The `compression` option; see `PerMessageDeflate.Options`.
 *
 * **Details**
 *
 * `COMPRESSION` alone decides whether there is any. Without it `byDefault` decides: true for
 * a client, false for a server.
 *
 * | variable | option | default |
 * |---|---|---|
 * | `COMPRESSION` | whether there is any | `byDefault` |
 * | `COMPRESSION_THRESHOLD` | `threshold` | 1 KiB |
 * | `COMPRESSION_LEVEL` | `level`, 1 to 9 | 4 |
 * | `COMPRESSION_MEM_LEVEL` | `memLevel`, 1 to 9 | 8 |
 * | `COMPRESSION_WINDOW_BITS_OWN`, `_PEER` | `windowBits`, 9 to 15 | 15 |
 * | `COMPRESSION_NO_CONTEXT_TAKEOVER_OWN`, `_PEER` | `noContextTakeover` | false |
 *
 * @category configuration
 * @since 0.1.0
 */
export const compression = (
  byDefault: boolean,
  prefix?: string
): Config.Config<boolean | PerMessageDeflate.Options> => within(prefix)(compressionGroup(byDefault))

const severities = LogLevel.values.filter((level) => level !== "All" && level !== "None")

const observabilityGroup: Config.Config<Observability.Options> = Config.all({
  span: boolean("SPAN"),
  logs: boolean("LOGS"),
  logLevel: oneOf("LOG_LEVEL", severities),
  handlerLogs: boolean("HANDLER_LOGS"),
  metrics: boolean("METRICS")
})

/**
 * What is reported of connections; see `Observability.Options`.
 *
 * **Details**
 *
 * | variable | option | default |
 * |---|---|---|
 * | `SPAN` | `span` | true |
 * | `LOGS` | `logs` | true |
 * | `LOG_LEVEL` | `logLevel`: `Debug`, `Info`, ... | Debug |
 * | `HANDLER_LOGS` | `handlerLogs` | false |
 * | `METRICS` | `metrics` | true |
 *
 * @category configuration
 * @since 0.1.0
 */
export const observability = (prefix?: string): Config.Config<Observability.Options> =>
  within(prefix)(observabilityGroup)

const originGroup: Config.Config<Origin.OriginPolicy | undefined> = Config.map(
  list("ORIGINS"),
  (list): Origin.OriginPolicy | undefined => {
    const [first] = list ?? []
    if (list?.length === 1 && (first === Origin.sameHost || first === Origin.unsafeAllowAny)) return first
    return list
  }
)

const parseOnDisconnect = (text: string): OnDisconnect | undefined => {
  if (text === "interrupt" || text === "ignore") return text
  const grace = parseDuration(text)
  return grace === undefined ? undefined : { grace }
}

const onDisconnect = variable(
  "ON_DISCONNECT",
  "interrupt, ignore or a duration, such as 5 seconds",
  (text) => parseOnDisconnect(text.trim())
)

/**
 * How a server accepts connections: all of {@link limits}, {@link compression} and
 * {@link observability}, and what follows.
 *
 * **Details**
 *
 * | variable | option | default |
 * |---|---|---|
 * | `SUBPROTOCOLS` | `selectSubprotocol`: a list, the preferred first | none |
 * | `ORIGINS` | `origin`: a list, `sameHost` or `dangerouslyAllowAnyOrigin` | sameHost |
 * | `ON_DISCONNECT` | `onDisconnect`: `interrupt`, `ignore`, or the duration of the grace | 5 seconds |
 *
 * @category configuration
 * @since 0.1.0
 */
export const accept = (prefix?: string): Config.Config<AcceptOptions> =>
  Config.all({
    limits: limitsGroup,
    compression: compressionGroup(false),
    observability: observabilityGroup,
    selectSubprotocol: list("SUBPROTOCOLS"),
    origin: originGroup,
    onDisconnect
  }).pipe(Config.map(({ limits, ...options }) => ({ ...limits, ...options })), within(prefix))

/**
 * How a client connects: all of {@link limits}, {@link compression} and
 * {@link observability}, and what follows.
 *
 * **Details**
 *
 * | variable | option | default |
 * |---|---|---|
 * | `SUBPROTOCOLS` | `subprotocols`: a list, the preferred first | none |
 * | `REQUIRE_SUBPROTOCOL` | `requireSubprotocol` | true |
 *
 * @category configuration
 * @since 0.1.0
 */
export const connect = (prefix?: string): Config.Config<ConnectOptions> =>
  Config.all({
    limits: limitsGroup,
    compression: compressionGroup(true),
    observability: observabilityGroup,
    subprotocols: list("SUBPROTOCOLS"),
    requireSubprotocol: boolean("REQUIRE_SUBPROTOCOL")
  }).pipe(Config.map(({ limits, ...options }) => ({ ...limits, ...options })), within(prefix))

/**
 * What bounds a server as a whole, as `NodeHttpServer` takes it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerOptions {
  readonly maxConnections?: number | undefined
  readonly shutdown?: ShutdownOptions | undefined
  readonly headersTimeout?: Duration.Duration | undefined
  readonly handshakeTimeout?: Duration.Duration | undefined
  readonly perAddress?: PerAddress | undefined
  readonly processes?: number | undefined
}

const shutdownGroup: Config.Config<ShutdownOptions> = Config.all({
  notice: duration("SHUTDOWN_NOTICE"),
  code: variable("SHUTDOWN_CODE", "a close code that a server may send, such as 1001, 1012 or 4000", (text) => {
    const code = digits(text.trim())
    return code !== undefined && Result.isSuccess(checkClose("server", code, "")) ? code : undefined
  }),
  reason: variable(
    "SHUTDOWN_REASON",
    "a text of at most 123 bytes",
    (text) => Result.isSuccess(checkClose("server", 1001, text)) ? text : undefined
  ),
  over: duration("SHUTDOWN_OVER"),
  grace: duration("SHUTDOWN_GRACE")
})

const perAddressGroup: Config.Config<PerAddress | undefined> = Config.all({
  connections: integer("PER_ADDRESS_CONNECTIONS", 1),
  count: integer("PER_ADDRESS_UPGRADES", 1),
  interval: duration("PER_ADDRESS_INTERVAL")
}).pipe(Config.map(({ connections, count, interval = Duration.minutes(1) }) =>
  connections === undefined && count === undefined
    ? undefined
    : { connections, upgrades: count === undefined ? undefined : { count, interval } }
))

/**
 * What bounds a server as a whole, as `NodeHttpServer` takes it.
 *
 * **Details**
 *
 * | variable | option | default |
 * |---|---|---|
 * | `MAX_CONNECTIONS` | `maxConnections` | 100000 |
 * | `SHUTDOWN_NOTICE` | `shutdown.notice` | 2 seconds |
 * | `SHUTDOWN_CODE` | `shutdown.code` | 1001 |
 * | `SHUTDOWN_REASON` | `shutdown.reason` | none |
 * | `SHUTDOWN_OVER` | `shutdown.over` | 0: all at once |
 * | `SHUTDOWN_GRACE` | `shutdown.grace` | 5 seconds more than `shutdown.over` |
 * | `HEADERS_TIMEOUT` | `headersTimeout` | 10 seconds |
 * | `HANDSHAKE_TIMEOUT` | `handshakeTimeout` | 10 seconds |
 * | `PER_ADDRESS_CONNECTIONS` | `perAddress.connections` | no limit |
 * | `PER_ADDRESS_UPGRADES` | `perAddress.upgrades.count` | no limit |
 * | `PER_ADDRESS_INTERVAL` | `perAddress.upgrades.interval` | 1 minute |
 * | `PROCESSES` | `processes`: each takes its part of the connections | 1 |
 *
 * @category configuration
 * @since 0.1.0
 */
export const server = (prefix?: string): Config.Config<ServerOptions> =>
  Config.all({
    maxConnections: integer("MAX_CONNECTIONS", 0),
    shutdown: shutdownGroup,
    headersTimeout: duration("HEADERS_TIMEOUT"),
    handshakeTimeout: duration("HANDSHAKE_TIMEOUT"),
    perAddress: perAddressGroup,
    processes: integer("PROCESSES", 1)
  }).pipe(within(prefix))

const topicsGroup: Config.Config<Limits.TopicOptions> = Config.all({
  subscriptions: integer("TOPICS_SUBSCRIPTIONS", 1),
  calls: integer("TOPICS_CALLS", 1),
  publish: Config.all({
    size: integer("TOPICS_PUBLISH_SIZE", 1),
    count: integer("TOPICS_PUBLISH_COUNT", 1),
    interval: duration("TOPICS_PUBLISH_INTERVAL")
  }),
  recovery: integer("TOPICS_RECOVERY", 0),
  snapshot: Config.all({ size: integer("TOPICS_SNAPSHOT_SIZE", 1) }),
  presence: Config.all({
    size: integer("TOPICS_PRESENCE_SIZE", 1),
    listed: integer("TOPICS_PRESENCE_LISTED", 0),
    grace: duration("TOPICS_PRESENCE_GRACE"),
    lump: duration("TOPICS_PRESENCE_LUMP")
  }),
  recent: Config.all({
    count: integer("TOPICS_RECENT_COUNT", 0),
    bytes: size("TOPICS_RECENT_BYTES", 0)
  }),
  linger: Config.all({
    time: duration("TOPICS_LINGER_TIME"),
    topics: integer("TOPICS_LINGER_TOPICS", 0)
  }),
  authentication: Config.all({
    within: duration("TOPICS_AUTHENTICATION_WITHIN"),
    notice: duration("TOPICS_AUTHENTICATION_NOTICE")
  })
})

/**
 * The limits of topics, as `Topics.layer` takes them.
 *
 * **Details**
 *
 * | variable | option | default |
 * |---|---|---|
 * | `TOPICS_SUBSCRIPTIONS` | `subscriptions` | 256 |
 * | `TOPICS_CALLS` | `calls` | 32 |
 * | `TOPICS_PUBLISH_SIZE` | `publish.size` | 65536 |
 * | `TOPICS_PUBLISH_COUNT` | `publish.count` | 1000 |
 * | `TOPICS_PUBLISH_INTERVAL` | `publish.interval` | 1 second |
 * | `TOPICS_RECOVERY` | `recovery` | 10000 |
 * | `TOPICS_SNAPSHOT_SIZE` | `snapshot.size` | 262144 |
 * | `TOPICS_PRESENCE_SIZE` | `presence.size` | 2048 |
 * | `TOPICS_PRESENCE_LISTED` | `presence.listed` | 1000 |
 * | `TOPICS_PRESENCE_GRACE` | `presence.grace` | 3 seconds |
 * | `TOPICS_PRESENCE_LUMP` | `presence.lump` | 500 millis |
 * | `TOPICS_RECENT_COUNT` | `recent.count` | 256 |
 * | `TOPICS_RECENT_BYTES` | `recent.bytes` | 64 MiB |
 * | `TOPICS_LINGER_TIME` | `linger.time` | 10 seconds |
 * | `TOPICS_LINGER_TOPICS` | `linger.topics` | 1000 |
 * | `TOPICS_AUTHENTICATION_WITHIN` | `authentication.within` | 10 seconds |
 * | `TOPICS_AUTHENTICATION_NOTICE` | `authentication.notice` | 30 seconds |
 *
 * @category configuration
 * @since 0.1.0
 */
export const topics = (prefix?: string): Config.Config<Limits.TopicOptions> => within(prefix)(topicsGroup)
