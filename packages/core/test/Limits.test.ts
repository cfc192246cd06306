import { assert, describe, it } from "@effect/vitest"
import * as Limits from "../src/Limits.ts"

const KiB = 1024
const MiB = 1024 * KiB

describe("Limits", () => {
  it("the defaults are those that are documented, and finite but for the idle timeout", () => {
    assert.deepStrictEqual(Limits.defaults, {
      maxMessageSize: MiB,
      maxStreamedMessageSize: 64 * 1024 * MiB,
      fragments: { max: 131_072, charge: 64 },
      controlFrames: { max: 1000, interval: 10_000 },
      inboundHighWaterMark: 64 * KiB,
      outboundHighWaterMark: 64 * KiB,
      slowConsumer: "suspend",
      messageProgress: { bytes: 64 * KiB, timeout: 60_000 },
      idleTimeout: Infinity,
      handshakeTimeout: 10_000,
      keepAlive: { interval: 20_000, timeout: 20_000 },
      closeTimeout: 5_000,
      closeLimit: 60_000,
      maxUnread: 16 * MiB,
      unreadTimeout: 300_000,
      stalledWriteTimeout: 30_000
    })
    assert.strictEqual(Limits.defaultMaxConnections, 100_000)
    assert.strictEqual(Limits.defaultRememberedAddresses, 10_000)
    assert.deepStrictEqual(Limits.defaultMemoryBudget, { bytes: 1024 * MiB, grace: 2000, shed: "largest" })
    assert.strictEqual(Limits.maxRefusalBody, 8 * KiB)
  })

  it("what is not given is the default, and every option arrives", () => {
    assert.deepStrictEqual(Limits.make(undefined), Limits.defaults)
    assert.deepStrictEqual(Limits.make({}), Limits.defaults)
    const given = Limits.make({
      maxMessageSize: 1,
      maxStreamedMessageSize: 2,
      fragments: { max: 4, charge: 3 },
      controlFrames: { max: 5, interval: "6 seconds" },
      inboundHighWaterMark: 7,
      outboundHighWaterMark: 8,
      slowConsumer: { close: 1008 },
      messageProgress: { bytes: 10, timeout: "9 seconds" },
      idleTimeout: "11 seconds",
      handshakeTimeout: "12 seconds",
      keepAlive: { timeout: "13 seconds" },
      closeTimeout: 14,
      closeLimit: 15,
      maxUnread: 17,
      unreadTimeout: 16,
      stalledWriteTimeout: Infinity
    })
    assert.deepStrictEqual(Object.keys(given).sort(), Object.keys(Limits.defaults).sort())
    assert.deepStrictEqual(given, {
      maxMessageSize: 1,
      maxStreamedMessageSize: 2,
      fragments: { max: 4, charge: 3 },
      controlFrames: { max: 5, interval: 6000 },
      inboundHighWaterMark: 7,
      outboundHighWaterMark: 8,
      slowConsumer: { close: 1008, after: 5000, maxBytes: MiB },
      messageProgress: { bytes: 10, timeout: 9000 },
      idleTimeout: 11_000,
      handshakeTimeout: 12_000,
      keepAlive: { interval: 20_000, timeout: 13_000 },
      closeTimeout: 14,
      closeLimit: 15,
      maxUnread: 17,
      unreadTimeout: 16,
      stalledWriteTimeout: Infinity
    })
    assert.isUndefined(Limits.make({ keepAlive: false }).keepAlive)
    assert.strictEqual(Limits.make({ slowConsumer: "dropOldest" }).slowConsumer, "dropOldest")
    for (const value of [NaN, -5]) {
      assert.deepInclude(Limits.make({ maxUnread: value, closeTimeout: value }), { maxUnread: 0, closeTimeout: 0 })
    }
  })

  it("a part of a limit is rounded up, so that nothing that was allowed is forbidden", () => {
    const parts = [[100, 1], [100, 4], [101, 4], [3, 8], [0, 4], [Infinity, 4]].map(([limit, processes]) =>
      Limits.share(limit!, processes))
    assert.deepStrictEqual(parts, [100, 25, 26, 1, 0, Infinity])
    assert.strictEqual(Limits.share(7), 7)
    for (const processes of [0, -1, 1.5, NaN, Infinity]) assert.throws(() => Limits.share(7, processes), /whole number/)
  })
})

describe("the limits of topics", () => {
  it("have the defaults that are documented", () => {
    assert.deepStrictEqual(Limits.defaultTopics, {
      subscriptions: 256,
      calls: 32,
      publish: { size: 65_536, count: 1000, interval: 1000 },
      recovery: 10_000,
      snapshot: { size: 262_144 },
      presence: { size: 2048, listed: 1000, grace: 3000, lump: 500 },
      recent: { count: 256, bytes: 64 * MiB },
      linger: { time: 10_000, topics: 1000 },
      authentication: { within: 10_000, notice: 30_000 }
    })
    assert.deepStrictEqual(Limits.makeTopics(), Limits.defaultTopics)
  })

  it("that are given come before the others", () => {
    const process = Limits.makeTopics({ calls: 1, presence: { grace: "9 seconds" } })
    const route = Limits.makeTopics({ calls: 2, presence: { listed: 7 } }, process)
    assert.deepStrictEqual(route, {
      ...Limits.defaultTopics,
      calls: 2,
      presence: { size: 2048, listed: 7, grace: 9000, lump: 500 }
    })
  })
})
