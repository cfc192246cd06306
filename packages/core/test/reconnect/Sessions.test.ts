import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as ReconnectingClient from "../../src/ReconnectingClient.ts"
import { accept, scripted, url } from "../support/Scripted.ts"

/** A server that sends three messages on each of so many connections and closes them; one more stays. */
const feed = (connections: number, code = 1000) => {
  let count = 0
  return scripted(accept((ws) =>
    Effect.gen(function*() {
      const n = ++count
      yield* ws.sendAll([`${n}a`, `${n}b`, `${n}c`])
      if (n <= connections) yield* ws.close(code)
      else yield* Stream.runDrain(ws.messages)
    })
  ))
}

const said = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => [`${from + i}a`, `${from + i}b`, `${from + i}c`]).flat()

describe("a reader that is behind", () => {
  it.effect("may send for each message, though several connections were lost meanwhile", () => {
    const { layer } = feed(12)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const read: Array<unknown> = []
      yield* Effect.forkScoped(Stream.runForEach(client.messages, (message) => {
        read.push(message)
        return Effect.andThen(client.send(`ack ${message}`), Effect.sleep("1 second"))
      }))
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* client.status, { _tag: "Open" })
      assert.deepStrictEqual(read.slice(-3), said(13, 13))
      assert.strictEqual(read.length + (yield* client.dropped), 39)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is waited for once it is 8 connections behind, and misses nothing", () => {
    const { layer, requests } = feed(20)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const busy = Latch.makeUnsafe()
      const read: Array<unknown> = []
      yield* Effect.forkScoped(Stream.runForEach(client.messages, (message) => {
        read.push(message)
        return busy.await
      }))
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(requests, 8)
      assert.deepInclude(yield* client.status, { _tag: "Waiting" })
      yield* busy.open
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(read, said(1, 21))
      assert.strictEqual(yield* client.dropped, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is waited for with a status that tells so, where the next attempt needs no delay", () => {
    const { layer, requests } = feed(8, 4401)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url, {
        retry: (loss) => loss._tag === "ConnectionClosed" && requests.length < 8 ? true : undefined
      })
      yield* Effect.forkScoped(Stream.runForEach(client.messages, () => Effect.never))
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(requests, 8)
      assert.deepInclude(yield* client.status, { _tag: "Waiting" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("is not waited for once a sender waits; its own place is kept", () => {
    const { layer, requests } = feed(8)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const busy = Latch.makeUnsafe()
      const read: Array<unknown> = []
      yield* Effect.forkScoped(Stream.runForEach(client.messages, (message) => {
        read.push(message)
        return busy.await
      }))
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(requests, 8)
      const sending = yield* Effect.forkChild(client.send("hello"))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(sending)
      yield* busy.open
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(read, said(1, 9))
    }).pipe(Effect.provide(layer))
  })

  it.effect("that pauses gets the messages of the connections meanwhile", () => {
    const { layer } = feed(4)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const read = (n: number) => Stream.runCollect(Stream.take(client.messages, n))
      assert.deepStrictEqual(yield* read(1), ["1a"])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* read(14), said(1, 5).slice(1))
      assert.strictEqual(yield* client.dropped, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("that pauses for more than 8 connections misses the oldest, which are counted", () => {
    const { layer } = feed(11)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const read = (n: number) => Stream.runCollect(Stream.take(client.messages, n))
      assert.deepStrictEqual(yield* read(1), ["1a"])
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* client.dropped, 8)
      assert.deepStrictEqual(yield* read(27), said(4, 12))
    }).pipe(Effect.provide(layer))
  })

  it.effect("loses nothing to connections that brought nothing", () => {
    let count = 0
    const { layer } = scripted(accept((ws) =>
      Effect.gen(function*() {
        if (++count === 1) yield* ws.sendAll(["a", "b"])
        if (count < 30) return yield* Effect.asVoid(ws.close(1000))
        yield* ws.send("c")
        return yield* Effect.never
      })
    ))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const read = (n: number) => Stream.runCollect(Stream.take(client.messages, n))
      assert.deepStrictEqual(yield* read(1), ["a"])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* read(2), ["b", "c"])
    }).pipe(Effect.provide(layer))
  })
})
