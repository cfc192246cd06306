import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as TestLink from "../../src/testing/TestLink.ts"
import type { IOError } from "../../src/WebSocketError.ts"
import { concat } from "../support/FakeTransport.ts"

/** What one end of a link was told. */
interface Ear {
  readonly chunks: Array<Uint8Array>
  readonly said: Array<string>
  readonly bytes: () => Array<number>
}

const listen = (link: TestLink.TestLink, side: TestLink.Side, onData: () => void = () => {}): Ear => {
  const chunks: Array<Uint8Array> = []
  const said: Array<string> = []
  link[side].start({
    onData: (chunk) => {
      chunks.push(Uint8Array.from(chunk))
      said.push(`data ${chunk.length}`)
      onData()
    },
    onEnd: () => said.push("end"),
    onTaken: () => said.push("taken"),
    onClosed: (error: IOError | undefined) => said.push(`closed ${error?.reason ?? ""}`.trim())
  })
  return { chunks, said, bytes: () => Array.from(concat(chunks)) }
}

const setup = Effect.fnUntraced(function*(options: TestLink.Options = {}) {
  const link = yield* TestLink.make(options)
  return { link, client: listen(link, "client"), server: listen(link, "server") }
})

const count = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i)
/** Everything that needs no time. */
const settle = TestClock.adjust("1 millis")

describe("TestLink", () => {
  it.effect("brings what is written, in a later turn, whole unless it is to chop", () =>
    Effect.gen(function*() {
      const { link, server } = yield* setup()
      assert.isTrue(link.client.write([Uint8Array.of(1, 2), Uint8Array.of(3)]))
      assert.deepStrictEqual(server.said, [], "never within the call")
      yield* settle
      assert.deepStrictEqual(server.said, ["data 2", "data 1"])
      assert.deepStrictEqual(server.bytes(), [1, 2, 3])
    }))

  it.effect("keeps a copy: the writer may use its buffer again", () =>
    Effect.gen(function*() {
      const { link, server } = yield* setup()
      const bytes = Uint8Array.of(1, 2, 3)
      link.client.write([bytes])
      bytes.fill(9)
      yield* settle
      assert.deepStrictEqual(server.bytes(), [1, 2, 3])
    }))

  it.effect("destroys a chunk behind the call unless it is given away", () =>
    Effect.gen(function*() {
      for (const chunks of ["borrowed", "scratch", "owned"] as const) {
        const link = yield* TestLink.make({ chunks })
        let kept = new Uint8Array(0)
        link.server.start({ onData: (chunk) => void (kept = chunk as Uint8Array<ArrayBuffer>), onEnd: () => {}, onTaken: () => {}, onClosed: () => {} })
        listen(link, "client")
        link.client.write([Uint8Array.of(1)])
        yield* settle
        assert.strictEqual(kept[0], chunks === "owned" ? 1 : 0xee)
      }
    }))

  it.effect.prop("whatever the seed, sizes and delays, all bytes arrive in order", {
    seed: Schema.Int,
    chop: Schema.Literals([true, false]),
    max: Schema.Literals([0, 1, 50]),
    capacity: Schema.Literals([0, 10, 1000]),
    writes: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))), { maxLength: 20 })
  }, ({ capacity, chop, max, seed, writes }) =>
    Effect.gen(function*() {
      const { client, link, server } = yield* setup({ seed, chop, capacity, delay: { min: 0, max } })
      let next = 0
      const sent: Array<number> = []
      for (const size of writes) {
        const bytes = Uint8Array.from({ length: size }, () => next++ & 255)
        sent.push(...bytes)
        const taken = link.client.write([bytes])
        assert.strictEqual(taken, link.stats("client").sent - link.stats("client").delivered <= capacity)
        if (taken) continue
        const before = client.said.length
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(client.said.slice(before), ["taken"], "told once that there is room")
      }
      link.client.end()
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(server.bytes(), sent)
      assert.strictEqual(server.said.at(-1), "end")
    }).pipe(Effect.scoped))

  it.effect("gives the same run for a seed, and others for others", () =>
    Effect.gen(function*() {
      const run = Effect.fnUntraced(function*(seed: number) {
        const { client, link, server } = yield* setup({ seed, chop: true, delay: { min: 0, max: 10 } })
        const log: Array<string> = []
        for (let i = 0; i < 5; i++) {
          link.client.write([count(40)])
          link.server.write([count(40)])
          yield* TestClock.adjust(5)
          log.push(`${client.said.length} ${server.said.length}`)
        }
        return `${log.join()} ${client.said.join()} ${server.said.join()}`
      }, Effect.scoped)
      const first = yield* run(1)
      assert.strictEqual(yield* run(1), first)
      const others = yield* Effect.forEach([2, 3, 4, 5], run)
      assert.strictEqual(new Set([first, ...others]).size, 5)
    }))

  it.effect("lets the directions overtake each other, as the seed says", () =>
    Effect.gen(function*() {
      const orders = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], (seed) =>
        Effect.gen(function*() {
          const link = yield* TestLink.make({ seed })
          const order: Array<string> = []
          listen(link, "client", () => order.push("client"))
          listen(link, "server", () => order.push("server"))
          link.client.write([count(1)])
          link.server.write([count(1)])
          yield* settle
          return order.join()
        }).pipe(Effect.scoped))
      assert.deepStrictEqual(new Set(orders), new Set(["client,server", "server,client"]))
    }))

  it.effect("takes as long as it is told to", () =>
    Effect.gen(function*() {
      const { link, server } = yield* setup({ delay: "100 millis" })
      link.client.write([count(1)])
      yield* TestClock.adjust("99 millis")
      assert.deepStrictEqual(server.said, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(server.said, ["data 1"])
    }))

  it.effect("pauses and resumes, the end of the stream included", () =>
    Effect.gen(function*() {
      const { link, server } = yield* setup()
      link.server.pause()
      link.client.write([count(3)])
      link.client.end()
      yield* settle
      assert.deepStrictEqual(server.said, [])
      link.server.resume()
      yield* settle
      assert.deepStrictEqual(server.said, ["data 3", "end"])
    }))

  it.effect("holds a writer above the capacity until there is room", () =>
    Effect.gen(function*() {
      const { client, link } = yield* setup({ capacity: 10 })
      link.server.pause()
      assert.isTrue(link.client.write([count(10)]))
      assert.isFalse(link.client.write([count(5)]))
      assert.strictEqual(link.client.pendingBytes!(), 5)
      assert.throws(() => link.client.write([count(1)]), "before the last one was taken")
      yield* settle
      assert.deepStrictEqual(client.said, [])
      link.server.resume()
      yield* settle
      assert.deepStrictEqual(client.said, ["taken"])
      assert.strictEqual(link.stats("client").mostInFlight, 15)
    }))

  it.effect("closes both once both have ended", () =>
    Effect.gen(function*() {
      const { client, link, server } = yield* setup()
      link.server.end()
      yield* settle
      assert.deepStrictEqual(client.said, ["end"])
      assert.throws(() => link.server.write([count(1)]), "after the end")
      link.client.write([count(2)])
      link.client.end()
      yield* settle
      assert.deepStrictEqual(server.said, ["data 2", "end", "closed"])
      assert.deepStrictEqual(client.said, ["end", "closed"])
      assert.isTrue(link.stats("client").isClosed && link.stats("server").isClosed)
    }))

  it.effect("a transport that is destroyed ends, and resets who goes on sending", () =>
    Effect.gen(function*() {
      const { client, link, server } = yield* setup()
      link.client.write([count(2)])
      link.client.destroy()
      link.client.destroy()
      assert.deepStrictEqual(client.said, ["closed"])
      yield* settle
      assert.deepStrictEqual(server.said, ["data 2", "end"])
      link.server.write([count(1)])
      yield* settle
      assert.deepStrictEqual(server.said, ["data 2", "end", "closed Reset"])
    }))

  describe("faults", () => {
    const faults = (type: TestLink.Fault["type"], after: number) => setup({ faults: [{ type, from: "client", after }] })

    for (const after of [0, 1, 4, 5]) {
      it.effect(`reset behind byte ${after}`, () =>
        Effect.gen(function*() {
          const { client, link, server } = yield* faults("reset", after)
          link.client.write([count(5)])
          yield* settle
          assert.deepStrictEqual(server.bytes(), Array.from(count(after)))
          assert.deepStrictEqual([client.said.at(-1), server.said.at(-1)], ["closed Reset", "closed Reset"])
        }))

      it.effect(`drop behind byte ${after}: nobody is told`, () =>
        Effect.gen(function*() {
          const { client, link, server } = yield* faults("drop", after)
          link.client.write([count(5)])
          link.server.write([count(1)])
          yield* settle
          link.server.write([count(1)])
          link.client.end()
          yield* TestClock.adjust("1 day")
          assert.deepStrictEqual(server.bytes(), Array.from(count(after)))
          assert.isBelow(client.said.length, 2)
          assert.isFalse([...client.said, ...server.said].some((what) => what === "end" || what.startsWith("closed")))
        }))

      it.effect(`halfClose behind byte ${after}`, () =>
        Effect.gen(function*() {
          const { client, link, server } = yield* faults("halfClose", after)
          link.client.write([count(5)])
          yield* settle
          assert.deepStrictEqual(server.bytes(), Array.from(count(after)))
          assert.strictEqual(server.said.at(-1), "end")
          assert.isTrue(link.client.write([count(70_000)]), "swallowed")
          link.server.write([count(3)])
          yield* settle
          assert.deepStrictEqual(client.bytes(), [0, 1, 2], "the other half goes on")
        }))

      it.effect(`stall behind byte ${after}, until resumed`, () =>
        Effect.gen(function*() {
          const { client, link, server } = yield* faults("stall", after)
          link.client.write([count(5)])
          link.server.write([count(3)])
          yield* TestClock.adjust("1 day")
          assert.deepStrictEqual(server.bytes(), Array.from(count(after)))
          assert.deepStrictEqual(client.bytes(), [0, 1, 2])
          yield* link.resume("client")
          yield* settle
          assert.deepStrictEqual(server.bytes(), Array.from(count(5)))
        }))
    }

    it.effect("a writer on a link that was lost is held when its buffer is full", () =>
      Effect.gen(function*() {
        const { client, link } = yield* setup({ capacity: 10 })
        yield* link.drop
        assert.isTrue(link.client.write([count(10)]))
        assert.isFalse(link.client.write([count(1)]))
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual(client.said, [])
      }))

    it.effect("by hand, at once", () =>
      Effect.gen(function*() {
        const one = yield* setup()
        one.link.client.write([count(3)])
        yield* one.link.halfClose("client")
        yield* settle
        assert.deepStrictEqual(one.server.said, ["data 3", "end"], "what was sent before arrives")
        const two = yield* setup()
        yield* two.link.stall("server")
        two.link.server.write([count(1)])
        yield* settle
        assert.deepStrictEqual(two.client.said, [])
        yield* two.link.reset
        assert.deepStrictEqual([two.client.said, two.server.said], [["closed Reset"], ["closed Reset"]])
      }))

    it.effect("before it was started: told when it is", () =>
      Effect.gen(function*() {
        const link = yield* TestLink.make()
        yield* link.reset
        assert.deepStrictEqual(listen(link, "client").said, ["closed Reset"])
      }))
  })

  it.effect("the end of the scope cuts it and leaves no alarm", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { client, link } = yield* Scope.provide(setup({ delay: "1 minute" }), scope)
      link.server.write([count(1)])
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(client.said, ["closed"])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(client.said, ["closed"])
    }))
})
