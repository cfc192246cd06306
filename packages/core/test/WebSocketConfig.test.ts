import { assert, describe, it } from "@effect/vitest"
import type * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Limits from "../src/Limits.ts"
import * as WebSocketConfig from "../src/WebSocketConfig.ts"

const read = <A>(config: Config.Config<A>, env: Record<string, string>) =>
  config.parse(ConfigProvider.fromEnv({ env }))

const refused = Effect.fnUntraced(function*(config: Config.Config<unknown>, env: Record<string, string>) {
  const error = yield* Effect.flip(read(config, env))
  assert.strictEqual(error._tag, "ConfigError")
  return error.message
})

/** Every option of `Limits.Options`, so that one that is added fails to compile here until it can be set. */
const limits: { readonly [K in keyof Limits.Limits]: readonly [env: Record<string, string>, value: Limits.Limits[K]] } = {
  maxMessageSize: [{ MAX_MESSAGE_SIZE: "64 KiB" }, 65_536],
  maxStreamedMessageSize: [{ MAX_STREAMED_MESSAGE_SIZE: "1.5 GB" }, 1_500_000_000],
  fragments: [{ FRAGMENTS_CHARGE: "0", FRAGMENTS_MAX: "10" }, { charge: 0, max: 10 }],
  controlFrames: [{ CONTROL_FRAMES_MAX: "20", CONTROL_FRAMES_INTERVAL: "1 second" }, { max: 20, interval: 1000 }],
  slowConsumer: [
    { SLOW_CONSUMER: "close1013", SLOW_CONSUMER_AFTER: "2 seconds", SLOW_CONSUMER_MAX_BYTES: "2 KiB" },
    { close: 1013, after: 2000, maxBytes: 2048 }
  ],
  messageProgress: [
    { MESSAGE_PROGRESS_TIMEOUT: "2 minutes", MESSAGE_PROGRESS_BYTES: "1 KiB" },
    { bytes: 1024, timeout: 120_000 }
  ],
  idleTimeout: [{ IDLE_TIMEOUT: "10 minutes" }, 600_000],
  inboundHighWaterMark: [{ INBOUND_HIGH_WATER_MARK: " 1024 " }, 1024],
  outboundHighWaterMark: [{ OUTBOUND_HIGH_WATER_MARK: "1 MiB" }, 1_048_576],
  handshakeTimeout: [{ HANDSHAKE_TIMEOUT: "500 millis" }, 500],
  keepAlive: [{ KEEP_ALIVE_INTERVAL: "1 minute", KEEP_ALIVE_TIMEOUT: "5 seconds" }, { interval: 60_000, timeout: 5000 }],
  closeTimeout: [{ CLOSE_TIMEOUT: "1 second" }, 1000],
  closeLimit: [{ CLOSE_LIMIT: "2 minutes" }, 120_000],
  maxUnread: [{ MAX_UNREAD: "17" }, 17],
  unreadTimeout: [{ UNREAD_TIMEOUT: "infinity" }, Infinity],
  stalledWriteTimeout: [{ STALLED_WRITE_TIMEOUT: "infinity" }, Infinity]
}

const prefixed = (env: Record<string, string>) =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [`WEBSOCKET_${name}`, value]))

describe("limits", () => {
  for (const [option, [env, value]] of Object.entries(limits)) {
    it.effect(`${option} from ${Object.keys(env).join(" and ")}, and from nothing else`, () =>
      Effect.gen(function*() {
        const expected = { ...Limits.defaults, [option]: value }
        assert.deepStrictEqual(Limits.make(yield* read(WebSocketConfig.limits(), env)), expected)
        assert.deepStrictEqual(Limits.make(yield* read(WebSocketConfig.limits("WEBSOCKET"), prefixed(env))), expected)
        assert.deepStrictEqual(Limits.make(yield* read(WebSocketConfig.limits("OTHER"), prefixed(env))), Limits.defaults)
      }))

    it.effect(`${option}: what is wrong names its variable`, () =>
      Effect.gen(function*() {
        for (const name of Object.keys(env)) {
          for (const wrong of ["many", "-1", "1e3"]) {
            const message = yield* refused(WebSocketConfig.limits("WEBSOCKET"), { [`WEBSOCKET_${name}`]: wrong })
            assert.include(message, `["WEBSOCKET"]["${name}"]`)
          }
        }
      }))
  }

  it.effect("nothing that is set leaves all defaults", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(Limits.make(yield* read(WebSocketConfig.limits("WEBSOCKET"), {})), Limits.defaults)
    }))

  it.effect("the keepalive is turned off, whatever else is set", () =>
    Effect.gen(function*() {
      for (const word of ["false", "OFF", "no", "0"]) {
        const options = yield* read(WebSocketConfig.limits(), { KEEP_ALIVE: word, KEEP_ALIVE_INTERVAL: "1 second" })
        assert.isUndefined(Limits.make(options).keepAlive)
      }
      const on = yield* read(WebSocketConfig.limits(), { KEEP_ALIVE: "on", KEEP_ALIVE_INTERVAL: "1 second" })
      assert.deepStrictEqual(Limits.make(on).keepAlive, { interval: 1000, timeout: 20_000 })
      assert.include(yield* refused(WebSocketConfig.limits(), { KEEP_ALIVE: "maybe" }), `["KEEP_ALIVE"]`)
    }))

  it.effect("what no connection could work with is refused", () =>
    Effect.gen(function*() {
      for (const name of ["MAX_MESSAGE_SIZE", "OUTBOUND_HIGH_WATER_MARK", "FRAGMENTS_MAX"]) {
        yield* refused(WebSocketConfig.limits(), { [name]: "0" })
      }
      yield* refused(WebSocketConfig.limits(), { KEEP_ALIVE_INTERVAL: "0 seconds" })
      yield* refused(WebSocketConfig.limits(), { MAX_MESSAGE_SIZE: "99999999999999999999" })
      yield* refused(WebSocketConfig.limits(), { MAX_MESSAGE_SIZE: "1.5 B" })
      // A duration needs its unit.
      yield* refused(WebSocketConfig.limits(), { CLOSE_TIMEOUT: "5000" })
    }))

  it.effect("structured providers have a group", () =>
    Effect.gen(function*() {
      const provider = ConfigProvider.fromUnknown({ websocket: { MAX_MESSAGE_SIZE: "1 KiB", KEEP_ALIVE: "off" } })
      const options = yield* WebSocketConfig.limits("websocket").parse(provider)
      assert.deepInclude(Limits.make(options), { maxMessageSize: 1024, keepAlive: undefined })
    }))
})

describe("compression", () => {
  const tuned = {
    COMPRESSION_THRESHOLD: "2 KiB",
    COMPRESSION_LEVEL: "9",
    COMPRESSION_MEM_LEVEL: "1",
    COMPRESSION_WINDOW_BITS_OWN: "9",
    COMPRESSION_WINDOW_BITS_PEER: "15",
    COMPRESSION_NO_CONTEXT_TAKEOVER_OWN: "true",
    COMPRESSION_NO_CONTEXT_TAKEOVER_PEER: "false"
  }

  it.effect("every option, where there is any", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* read(WebSocketConfig.compression(false), { COMPRESSION: "on", ...tuned }), {
        threshold: 2048,
        level: 9,
        memLevel: 1,
        windowBits: { own: 9, peer: 15 },
        noContextTakeover: { own: true, peer: false }
      })
    }))

  it.effect("is on where it is said or the default, not because it is tuned", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* read(WebSocketConfig.compression(false), tuned), false)
      assert.strictEqual(yield* read(WebSocketConfig.compression(true), { COMPRESSION: "false", ...tuned }), false)
      assert.isObject(yield* read(WebSocketConfig.compression(true), {}))
      assert.isObject(yield* read(WebSocketConfig.compression(false, "A"), { A_COMPRESSION: "true" }))
    }))

  it.effect("what zlib cannot do is refused, with its variable", () =>
    Effect.gen(function*() {
      for (
        const [name, wrong] of [
          ["COMPRESSION_LEVEL", "0"],
          ["COMPRESSION_LEVEL", "10"],
          ["COMPRESSION_MEM_LEVEL", "4.5"],
          ["COMPRESSION_WINDOW_BITS_OWN", "8"],
          ["COMPRESSION_WINDOW_BITS_PEER", "16"],
          ["COMPRESSION_THRESHOLD", "some"],
          ["COMPRESSION_NO_CONTEXT_TAKEOVER_OWN", "2"],
          ["COMPRESSION", "gzip"]
        ] as const
      ) {
        assert.include(yield* refused(WebSocketConfig.compression(true), { [name]: wrong }), `["${name}"]`)
      }
    }))
})

describe("observability", () => {
  it.effect("every option", () =>
    Effect.gen(function*() {
      const env = { WS_SPAN: "off", WS_LOGS: "on", WS_LOG_LEVEL: "Warn", WS_HANDLER_LOGS: "yes", WS_METRICS: "no" }
      assert.deepStrictEqual(yield* read(WebSocketConfig.observability("WS"), env), {
        span: false,
        logs: true,
        logLevel: "Warn",
        handlerLogs: true,
        metrics: false
      })
      assert.include(yield* refused(WebSocketConfig.observability(), { LOG_LEVEL: "Loud" }), `["LOG_LEVEL"]`)
    }))
})

describe("accept and connect", () => {
  it.effect("take all groups under one prefix", () =>
    Effect.gen(function*() {
      const env = prefixed({
        MAX_MESSAGE_SIZE: "1024",
        COMPRESSION: "true",
        METRICS: "off",
        SUBPROTOCOLS: "chat.v2, chat.v1",
        ORIGINS: "https://app.example,null",
        REQUIRE_SUBPROTOCOL: "false"
      })
      const accept = yield* read(WebSocketConfig.accept("WEBSOCKET"), env)
      assert.deepInclude(accept, {
        maxMessageSize: 1024,
        selectSubprotocol: ["chat.v2", "chat.v1"],
        origin: ["https://app.example", "null"]
      })
      assert.isObject(accept.compression)
      assert.strictEqual(accept.observability?.metrics, false)
      const connect = yield* read(WebSocketConfig.connect("WEBSOCKET"), env)
      assert.deepInclude(connect, { maxMessageSize: 1024, subprotocols: ["chat.v2", "chat.v1"], requireSubprotocol: false })
      assert.include(yield* refused(WebSocketConfig.accept("WEBSOCKET"), { WEBSOCKET_SUBPROTOCOLS: "a,,b" }), "SUBPROTOCOLS")
    }))

  it.effect("a server does not compress and a client offers to, unless told otherwise", () =>
    Effect.gen(function*() {
      const accept = yield* read(WebSocketConfig.accept(), {})
      assert.strictEqual(accept.compression, false)
      assert.isUndefined(accept.origin)
      assert.isObject((yield* read(WebSocketConfig.connect(), {})).compression)
    }))

  it.effect("know what becomes of a handler: words, or a grace", () =>
    Effect.gen(function*() {
      const expected = { interrupt: "interrupt", ignore: "ignore", "3 seconds": { grace: Duration.seconds(3) } }
      for (const [text, value] of Object.entries(expected)) {
        assert.deepStrictEqual<unknown>((yield* read(WebSocketConfig.accept(), { ON_DISCONNECT: text })).onDisconnect, value)
      }
      assert.include(yield* refused(WebSocketConfig.accept(), { ON_DISCONNECT: "stop" }), "ON_DISCONNECT")
    }))

  it.effect("know the policies of origins that are words", () =>
    Effect.gen(function*() {
      for (const policy of ["sameHost", "dangerouslyAllowAnyOrigin"]) {
        const { origin } = yield* read(WebSocketConfig.accept(), { ORIGINS: policy })
        assert.strictEqual<unknown>(origin, policy)
      }
    }))
})

describe("server", () => {
  it.effect("every option", () =>
    Effect.gen(function*() {
      const env = {
        WS_MAX_CONNECTIONS: "10",
        WS_SHUTDOWN_NOTICE: "1 second",
        WS_SHUTDOWN_CODE: "1012",
        WS_SHUTDOWN_REASON: "a new version",
        WS_SHUTDOWN_OVER: "10 seconds",
        WS_SHUTDOWN_GRACE: "20 seconds",
        WS_HEADERS_TIMEOUT: "2 seconds",
        WS_HANDSHAKE_TIMEOUT: "3 seconds",
        WS_PER_ADDRESS_CONNECTIONS: "4",
        WS_PER_ADDRESS_UPGRADES: "5",
        WS_PER_ADDRESS_INTERVAL: "6 seconds",
        WS_PROCESSES: "7"
      }
      assert.deepStrictEqual(yield* read(WebSocketConfig.server("WS"), env), {
        maxConnections: 10,
        shutdown: {
          notice: Duration.seconds(1),
          code: 1012,
          reason: "a new version",
          over: Duration.seconds(10),
          grace: Duration.seconds(20)
        },
        headersTimeout: Duration.seconds(2),
        handshakeTimeout: Duration.seconds(3),
        perAddress: { connections: 4, upgrades: { count: 5, interval: Duration.seconds(6) } },
        processes: 7
      })
      assert.include(yield* refused(WebSocketConfig.server(), { PROCESSES: "0" }), "PROCESSES")
      assert.include(yield* refused(WebSocketConfig.server("WS"), { WS_MAX_CONNECTIONS: "all" }), "MAX_CONNECTIONS")
      for (const code of ["1005", "1010", "999", "x"]) {
        assert.include(yield* refused(WebSocketConfig.server(), { SHUTDOWN_CODE: code }), "SHUTDOWN_CODE")
      }
      assert.include(yield* refused(WebSocketConfig.server(), { SHUTDOWN_REASON: "x".repeat(124) }), "SHUTDOWN_REASON")
    }))

  it.effect("no limits of an address unless one is given, and upgrades by the minute", () =>
    Effect.gen(function*() {
      assert.isUndefined((yield* read(WebSocketConfig.server(), {})).perAddress)
      assert.deepStrictEqual((yield* read(WebSocketConfig.server(), { PER_ADDRESS_UPGRADES: "7" })).perAddress, {
        connections: undefined,
        upgrades: { count: 7, interval: Duration.minutes(1) }
      })
    }))
})

describe("the limits of topics", () => {
  const options = {
    subscriptions: [{ TOPICS_SUBSCRIPTIONS: "1" }, 1],
    calls: [{ TOPICS_CALLS: "2" }, 2],
    publish: [
      { TOPICS_PUBLISH_SIZE: "3", TOPICS_PUBLISH_COUNT: "4", TOPICS_PUBLISH_INTERVAL: "5 seconds" },
      { size: 3, count: 4, interval: 5000 }
    ],
    recovery: [{ TOPICS_RECOVERY: "0" }, 0],
    snapshot: [{ TOPICS_SNAPSHOT_SIZE: "15" }, { size: 15 }],
    presence: [
      { TOPICS_PRESENCE_SIZE: "6", TOPICS_PRESENCE_LISTED: "7", TOPICS_PRESENCE_GRACE: "8 millis", TOPICS_PRESENCE_LUMP: "9 millis" },
      { size: 6, listed: 7, grace: 8, lump: 9 }
    ],
    recent: [{ TOPICS_RECENT_COUNT: "10", TOPICS_RECENT_BYTES: "1 MiB" }, { count: 10, bytes: 1024 * 1024 }],
    linger: [{ TOPICS_LINGER_TIME: "11 millis", TOPICS_LINGER_TOPICS: "12" }, { time: 11, topics: 12 }],
    authentication: [
      { TOPICS_AUTHENTICATION_WITHIN: "13 millis", TOPICS_AUTHENTICATION_NOTICE: "14 millis" },
      { within: 13, notice: 14 }
    ]
  } satisfies { [K in keyof Limits.TopicLimits]: readonly [env: Record<string, string>, value: Limits.TopicLimits[K]] }

  for (const [option, [env, value]] of Object.entries(options)) {
    it.effect(`sets ${option}`, () =>
      Effect.gen(function*() {
        const expected = { ...Limits.defaultTopics, [option]: value }
        assert.deepStrictEqual(Limits.makeTopics(yield* read(WebSocketConfig.topics(), env)), expected)
        assert.deepStrictEqual(Limits.makeTopics(yield* read(WebSocketConfig.topics("WEBSOCKET"), prefixed(env))), expected)
      }))
  }

  it.effect("has the defaults without any", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(Limits.makeTopics(yield* read(WebSocketConfig.topics(), {})), Limits.defaultTopics)
    }))
})
