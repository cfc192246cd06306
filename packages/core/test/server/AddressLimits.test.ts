import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { addressKey, AddressLimits, type AddressRules } from "../../src/server/AddressLimits.ts"

const make = (rules: Partial<AddressRules>) =>
  new AddressLimits({ connections: Infinity, upgrades: undefined, remembered: 100, ...rules })

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("AddressLimits", () => {
  describe("upgrades", () => {
    const upgrades = { count: 5, interval: 10_000 }

    it("a burst, then one by one as time passes", () => {
      const limits = make({ upgrades })
      for (let i = 0; i < 5; i++) assert.strictEqual(limits.attempt("a", 1000), 0)
      assert.strictEqual(limits.attempt("a", 1000), 2000)
      assert.strictEqual(limits.attempt("a", 2500), 500, "refused ones are not counted")
      assert.strictEqual(limits.attempt("b", 2500), 0, "another address")
      assert.strictEqual(limits.attempt("a", 3000), 0)
      assert.strictEqual(limits.attempt("a", 3000), 2000)
      for (let i = 0; i < 5; i++) assert.strictEqual(limits.attempt("a", 13_000), 0, "full again")
      assert.isAbove(limits.attempt("a", 13_000), 0)
    })

    it("is off unless it is given, and 0 allows none", () => {
      const off = make({})
      for (let i = 0; i < 10_000; i++) assert.strictEqual(off.attempt("a", 0), 0)
      assert.strictEqual(off.remembered, 0)
      assert.strictEqual(make({ upgrades: { count: 0, interval: 1000 } }).attempt("a", 0), 1000)
    })

    it("remembers only so many addresses, and forgets those that are full again", () => {
      const limits = make({ upgrades, remembered: 100 })
      for (let i = 0; i < 10_000; i++) {
        limits.attempt(`${i}`, i / 1000)
        assert.isAtMost(limits.remembered, 100)
      }
      assert.strictEqual(limits.remembered, 100)
      limits.attempt("later", 1_000_000)
      assert.strictEqual(limits.remembered, 1)
    })

    it("forgets the one not seen for longest first", () => {
      const limits = make({ upgrades: { count: 2, interval: 1000 }, remembered: 2 })
      for (const who of ["a", "b", "b", "a"]) assert.strictEqual(limits.attempt(who, 0), 0)
      assert.strictEqual(limits.attempt("c", 1), 0)
      assert.isAbove(limits.attempt("a", 2), 0)
      assert.strictEqual(limits.attempt("b", 2), 0, "forgotten")
    })

    it.effect.prop("never lets more through than the burst and what time gave back", {
      attempts: Arbitrary.array(Arbitrary.schema(Schema.Struct({ who: between(0, 2), wait: between(0, 3000) })), { maxLength: 100 }),
      count: Arbitrary.schema(between(1, 7))
    }, ({ attempts, count }) =>
      Effect.sync(() => {
        const limits = make({ upgrades: { count, interval: 10_000 } })
        const through = new Map<number, Array<number>>()
        let now = 0
        for (const { wait, who } of attempts) {
          now += wait
          const before = through.get(who) ?? []
          const left = limits.attempt(`${who}`, now)
          if (left === 0) through.set(who, [...before, now])
          else assert.strictEqual(limits.attempt(`${who}`, now + left), 0, "Retry-After is enough"), through.set(who, [...before, now += left])
        }
        for (const times of through.values()) {
          times.forEach((from, i) => {
            times.slice(i).forEach((to, n) => assert.isAtMost(n + 1, count + (to - from) * count / 10_000 + 1e-6))
          })
        }
      }))
  })

  describe("connections", () => {
    it("so many at once from each address", () => {
      const limits = make({ connections: 2 })
      const first = limits.enter("a")
      assert.isDefined(first)
      assert.isDefined(limits.enter("a"))
      assert.isUndefined(limits.enter("a"))
      assert.isDefined(limits.enter("b"))
      first!()
      assert.isDefined(limits.enter("a"))
      assert.isUndefined(limits.enter("a"))
    })

    it("an address without connections takes no memory", () => {
      const limits = make({ connections: 2 })
      for (let i = 0; i < 1000; i++) limits.enter(`${i}`)!()
      assert.strictEqual(limits["open"].size, 0)
    })
  })

  describe("addressKey", () => {
    for (
      const [address, key] of [
        ["127.0.0.1", "127.0.0.1"],
        ["::ffff:127.0.0.1", "127.0.0.1"],
        ["::FFFF:7f00:1", "127.0.0.1"],
        ["0:0:0:0:0:ffff:203.0.113.9", "203.0.113.9"],
        ["::1", "0:0:0:0::/64"],
        ["::", "0:0:0:0::/64"],
        ["2001:db8::1", "2001:db8:0:0::/64"],
        ["2001:DB8:0:0:1:2:3:4", "2001:db8:0:0::/64"],
        ["2001:0db8:0000:0000:ffff:ffff:ffff:ffff", "2001:db8:0:0::/64"],
        ["2001:db8:0:1::1", "2001:db8:0:1::/64"],
        ["1:2:3:4:5:6:7::", "1:2:3:4::/64"],
        ["::2:3:4:5:6:7:8", "0:2:3:4::/64"],
        ["fe80::1%eth0", "fe80:0:0:0::/64"],
        ["", ""],
        ["unix", "unix"]
      ]
    ) {
      it(`${address} counts as ${key}`, () => assert.strictEqual(addressKey(address), key))
    }

    for (
      const wrong of [
        ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "12345::", "g::", "::1.2.3",
        "::1.2.3.256", "::1.2.3.4:5", "1.2.3.4::", "::1.2.3.4.5", "::-1", "1: 2::", "::ffff:1.2..4"
      ]
    ) {
      it(`${wrong} is no address and counts as it stands`, () => assert.strictEqual(addressKey(wrong), wrong))
    }

    it("is bounded, however long what it is given", () => {
      assert.isAtMost(addressKey("x".repeat(100_000)).length, 64)
      assert.isAtMost(addressKey(":".repeat(100_000)).length, 64)
    })
  })
})
