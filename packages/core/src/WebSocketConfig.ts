/**
 * The options of connections, read from Effect's `Config` as one group: from environment
 * variables by default, or from whatever `ConfigProvider` is in effect.
 *
 * **Details**
 *
 * Each function takes the prefix of its variables, and gives what the options of that
 * name take. A variable that is not set leaves its default; one that is wrong fails with
 * a `ConfigError` that names it.
 *
 * Sizes are bytes, with a unit if you like (`65536`, `64 KiB`); durations have one
 * (`500 millis`, `10 seconds`, or `infinity`); booleans are `true` or `false` (`yes`,
 * `on`, `1`; `no`, `off`, `0`); lists have commas in between.
 *
 * **Example** (A server that is set up from its environment)
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
import * as Values from "./config/Values.ts"
import type * as Limits from "./Limits.ts"
import type * as Observability from "./Observability.ts"
import * as Origin from "./Origin.ts"
import type * as PerMessageDeflate from "./PerMessageDeflate.ts"
import type { ConnectOptions } from "./WebSocketClient.ts"
import type { AcceptOptions, PerAddress } from "./WebSocketServer.ts"

const within = (prefix: string | undefined) => <A>(config: Config.Config<A>): Config.Config<A> =>
  prefix === undefined ? config : Config.nested(config, prefix)

// Groups are put together here, so that each is nested once.
const slowConsumer: Config.Config<Limits.SlowConsumer | undefined> = Config.map(
  Values.oneOf("SLOW_CONSUMER", ["suspend", "dropNewest", "dropOldest", "close1008", "close1013"]),
  (word) => word === "close1008" ? { close: 1008 } : word === "close1013" ? { close: 1013 } : word
)

const limitsGroup: Config.Config<Limits.Options> = Config.all({
  maxMessageSize: Values.size("MAX_MESSAGE_SIZE"),
  maxStreamedMessageSize: Values.size("MAX_STREAMED_MESSAGE_SIZE"),
  fragmentCharge: Values.size("FRAGMENT_CHARGE", 0),
  maxFragments: Values.integer("MAX_FRAGMENTS", 1),
  maxControlFrames: Values.integer("MAX_CONTROL_FRAMES", 1),
  controlFrameInterval: Values.duration("CONTROL_FRAME_INTERVAL"),
  inboundHighWaterMark: Values.size("INBOUND_HIGH_WATER_MARK"),
  outboundHighWaterMark: Values.size("OUTBOUND_HIGH_WATER_MARK"),
  slowConsumer,
  messageTimeout: Values.duration("MESSAGE_TIMEOUT"),
  messageProgress: Values.size("MESSAGE_PROGRESS"),
  idleTimeout: Values.duration("IDLE_TIMEOUT"),
  handshakeTimeout: Values.duration("HANDSHAKE_TIMEOUT"),
  keepAlive: Config.map(
    Config.all([
      Values.boolean("KEEP_ALIVE"),
      Values.duration("KEEP_ALIVE_INTERVAL"),
      Values.duration("KEEP_ALIVE_TIMEOUT")
    ]),
    ([isOn, interval, timeout]) => isOn === false ? false as const : { interval, timeout }
  ),
  closeTimeout: Values.duration("CLOSE_TIMEOUT"),
  stalledWriteTimeout: Values.duration("STALLED_WRITE_TIMEOUT")
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
 * | `FRAGMENT_CHARGE` | `fragmentCharge` | 64 |
 * | `MAX_FRAGMENTS` | `maxFragments` | 131072 |
 * | `MAX_CONTROL_FRAMES` | `maxControlFrames` | 1000 |
 * | `CONTROL_FRAME_INTERVAL` | `controlFrameInterval` | 10 seconds |
 * | `INBOUND_HIGH_WATER_MARK` | `inboundHighWaterMark` | 64 KiB |
 * | `OUTBOUND_HIGH_WATER_MARK` | `outboundHighWaterMark` | 64 KiB |
 * | `SLOW_CONSUMER` | `slowConsumer`: `suspend`, `dropNewest`, `dropOldest`, `close1008`, `close1013` | suspend |
 * | `MESSAGE_TIMEOUT` | `messageTimeout` | 60 seconds |
 * | `MESSAGE_PROGRESS` | `messageProgress` | 64 KiB |
 * | `IDLE_TIMEOUT` | `idleTimeout` | infinity |
 * | `HANDSHAKE_TIMEOUT` | `handshakeTimeout` | 10 seconds |
 * | `KEEP_ALIVE` | `keepAlive`: `off` turns it off | on |
 * | `KEEP_ALIVE_INTERVAL` | `keepAlive.interval` | 20 seconds |
 * | `KEEP_ALIVE_TIMEOUT` | `keepAlive.timeout` | 20 seconds |
 * | `CLOSE_TIMEOUT` | `closeTimeout` | 5 seconds |
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
      isOn: Values.boolean("COMPRESSION"),
      threshold: Values.size("COMPRESSION_THRESHOLD", 0),
      // The bounds are those of the types.
      level: Values.integer("COMPRESSION_LEVEL", 1, 9) as Config.Config<Level>,
      memLevel: Values.integer("COMPRESSION_MEM_LEVEL", 1, 9) as Config.Config<Level>,
      ownBits: Values.integer("COMPRESSION_WINDOW_BITS_OWN", 9, 15) as Config.Config<Bits>,
      peerBits: Values.integer("COMPRESSION_WINDOW_BITS_PEER", 9, 15) as Config.Config<Bits>,
      ownNoTakeover: Values.boolean("COMPRESSION_NO_CONTEXT_TAKEOVER_OWN"),
      peerNoTakeover: Values.boolean("COMPRESSION_NO_CONTEXT_TAKEOVER_PEER")
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
 * Whether there is any is said by `COMPRESSION` alone; without it, `byDefault` does:
 * true for a client, false for a server.
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
  span: Values.boolean("SPAN"),
  logs: Values.boolean("LOGS"),
  logLevel: Values.oneOf("LOG_LEVEL", severities),
  handlerLogs: Values.boolean("HANDLER_LOGS"),
  metrics: Values.boolean("METRICS")
})

/**
 * What is told of connections; see `Observability.Options`.
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
  Values.list("ORIGINS"),
  (list): Origin.OriginPolicy | undefined => {
    const [first] = list ?? []
    if (list?.length === 1 && (first === Origin.sameHost || first === Origin.unsafeAllowAny)) return first
    return list
  }
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
 *
 * @category configuration
 * @since 0.1.0
 */
export const accept = (prefix?: string): Config.Config<AcceptOptions> =>
  Config.all({
    limits: limitsGroup,
    compression: compressionGroup(false),
    observability: observabilityGroup,
    selectSubprotocol: Values.list("SUBPROTOCOLS"),
    origin: originGroup
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
    subprotocols: Values.list("SUBPROTOCOLS"),
    requireSubprotocol: Values.boolean("REQUIRE_SUBPROTOCOL")
  }).pipe(Config.map(({ limits, ...options }) => ({ ...limits, ...options })), within(prefix))

/**
 * What bounds a server as a whole, as `NodeHttpServer` takes it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerOptions {
  readonly maxConnections?: number | undefined
  readonly closeGracePeriod?: Duration.Duration | undefined
  readonly headersTimeout?: Duration.Duration | undefined
  readonly handshakeTimeout?: Duration.Duration | undefined
  readonly perAddress?: PerAddress | undefined
}

const perAddressGroup: Config.Config<PerAddress | undefined> = Config.all({
  connections: Values.integer("PER_ADDRESS_CONNECTIONS", 1),
  count: Values.integer("PER_ADDRESS_UPGRADES", 1),
  interval: Values.duration("PER_ADDRESS_INTERVAL")
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
 * | `CLOSE_GRACE_PERIOD` | `closeGracePeriod` | 5 seconds |
 * | `HEADERS_TIMEOUT` | `headersTimeout` | 10 seconds |
 * | `HANDSHAKE_TIMEOUT` | `handshakeTimeout` | 10 seconds |
 * | `PER_ADDRESS_CONNECTIONS` | `perAddress.connections` | no limit |
 * | `PER_ADDRESS_UPGRADES` | `perAddress.upgrades.count` | no limit |
 * | `PER_ADDRESS_INTERVAL` | `perAddress.upgrades.interval` | 1 minute |
 *
 * @category configuration
 * @since 0.1.0
 */
export const server = (prefix?: string): Config.Config<ServerOptions> =>
  Config.all({
    maxConnections: Values.integer("MAX_CONNECTIONS", 0),
    closeGracePeriod: Values.duration("CLOSE_GRACE_PERIOD"),
    headersTimeout: Values.duration("HEADERS_TIMEOUT"),
    handshakeTimeout: Values.duration("HANDSHAKE_TIMEOUT"),
    perAddress: perAddressGroup
  }).pipe(within(prefix))
