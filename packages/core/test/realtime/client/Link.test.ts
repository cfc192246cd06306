import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Link } from "../../../src/realtime/client/Link.ts"
import * as TestWebSocket from "../../../src/testing/TestWebSocket.ts"

const filler = "x".repeat(70_000)

/** A link whose connection has no room until the server reads. */
const full = Effect.gen(function*() {
  const { client, link: wire, server } = yield* TestWebSocket.pair({ link: { capacity: 1000 } })
  const link = new Link(client)
  yield* Effect.forkScoped(link.run, { startImmediately: true })
  link.push({ text: filler })
  link.push({ text: filler })
  return { link, wire, read: Effect.map(server.receive, (message) => message === filler ? "filler" : message) }
})

describe("Link", () => {
  it.effect("sends in order, and what passes by behind it: the last of each name", () =>
    Effect.gen(function*() {
      const { link, read } = yield* full
      link.pass("a", "a1")
      link.pass("b", "b1")
      link.push({ text: "1" })
      link.pass("a", "a2")
      link.push({ text: "2" })
      const all = yield* Effect.all(Array.from({ length: 6 }, () => read))
      assert.deepStrictEqual(all, ["filler", "filler", "1", "2", "b1", "a2"])
      link.pass("b", "b2")
      assert.strictEqual(yield* read, "b2")
    }))

  it.effect("loses nothing of what passes by while one of it is being sent", () =>
    Effect.gen(function*() {
      const { link, read } = yield* full
      link.pass("a", filler)
      link.pass("b", filler)
      link.pass("c", "c1")
      assert.deepStrictEqual(yield* Effect.all([read, read]), ["filler", "filler"])
      // The signal of `a` waits on the connection.
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      link.pass("a", "a2")
      const all = yield* Effect.all(Array.from({ length: 4 }, () => read))
      assert.deepStrictEqual(all, ["filler", "filler", "c1", "a2"])
    }))

  it.effect("does not send what nobody wants any more, and says what may arrive", () =>
    Effect.gen(function*() {
      const { link, read, wire } = yield* full
      for (let i = 0; i < 4; i++) link.push({ text: filler })
      const given: Array<string> = []
      let isWanted = true
      const push = (text: string) => link.push({ text, isWanted: () => isWanted, given: () => given.push(text) })
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      push("1")
      assert.deepStrictEqual(given, [])
      isWanted = false
      link.push({ text: "2" })
      for (let i = 0; i < 6; i++) assert.strictEqual(yield* read, "filler")
      assert.strictEqual(yield* read, "2")
      assert.deepStrictEqual(given, [])
      isWanted = true
      push("3")
      assert.strictEqual(yield* read, "3")
      // On a connection that is gone nothing may arrive, but what waited for room there may have.
      for (let i = 0; i < 6; i++) link.push({ text: filler })
      push("4")
      yield* wire.reset
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      push("5")
      assert.deepStrictEqual(given, ["3"])
    }))

  it.effect("ends with its connection", () =>
    Effect.gen(function*() {
      const { client, link: wire, server } = yield* TestWebSocket.pair({ link: { capacity: 1000 } })
      const link = new Link(client)
      const running = yield* Effect.forkChild(link.run, { startImmediately: true })
      yield* Effect.forkChild(Effect.ignore(Stream.runDrain(server.messages)))
      yield* wire.reset
      link.push({ text: "1" })
      yield* Fiber.join(running)
    }))
})
