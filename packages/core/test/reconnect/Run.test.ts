import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as ReconnectingClient from "../../src/ReconnectingClient.ts"
import { ConnectionClosed } from "../../src/WebSocketError.ts"
import { accept, eventually, hold, links, refuse, scripted, url } from "../support/Scripted.ts"

class NotWelcome extends Schema.TaggedError<NotWelcome>()("NotWelcome", {}) {}

describe("ReconnectingClient.run", () => {
  it.effect("runs a session with each connection, until one succeeds while its connection is open", () => {
    const { layer, requests } = scripted(
      accept((ws) => ws.send("1")),
      refuse(503),
      accept((ws) => Effect.andThen(ws.send("2"), Effect.never)),
      accept((ws) => Effect.andThen(ws.sendAll(["3", "last"]), Effect.never))
    )
    return Effect.gen(function*() {
      const seen: Array<unknown> = []
      const statuses: Array<string> = []
      const running = yield* Effect.forkChild(ReconnectingClient.run(
        url,
        (ws) =>
          Effect.gen(function*() {
            while (true) {
              const message = yield* ws.receive
              if (message === "last") return seen.length
              seen.push(message)
            }
          }),
        { onStatus: (status) => Effect.sync(() => statuses.push(status._tag)) }
      ))
      yield* eventually(Effect.gen(function*() {
        while (seen.length < 2) yield* Effect.yieldNow
      }))
      yield* (yield* links)[1].reset
      assert.strictEqual(yield* eventually(Fiber.join(running)), 3)
      assert.deepStrictEqual(seen, ["1", "2", "3"])
      assert.lengthOf(requests, 4)
      const attempt = ["Connecting", "Open", "Waiting"]
      assert.deepStrictEqual(statuses, [...attempt, "Connecting", "Waiting", ...attempt, "Connecting", "Open", "Ended"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a session that ends with its connection, in peace, is followed by the next one", () => {
    const { layer } = scripted(accept((ws) => ws.close(1000)), accept((ws) => ws.close(1000)), refuse(403))
    return Effect.gen(function*() {
      let sessions = 0
      const running = yield* Effect.forkChild(Effect.flip(ReconnectingClient.run(url, (ws) => {
        sessions++
        return Stream.runDrain(ws.messages)
      })))
      assert.deepInclude(yield* eventually(Fiber.join(running)), { _tag: "HandshakeError", status: 403 })
      assert.strictEqual(sessions, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("one that closes its connection itself has succeeded", () => {
    const { layer, requests } = scripted(hold)
    return Effect.gen(function*() {
      const closed = yield* ReconnectingClient.run(url, (ws) => ws.close(1000, "enough"))
      assert.deepInclude(closed, { code: 1000, clean: true })
      assert.lengthOf(requests, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a session's own failure ends all, unless `retry` says otherwise", () => {
    const closes: Array<number> = []
    const { layer, requests } = scripted(accept((ws) =>
      Effect.andThen(Stream.runDrain(ws.messages), Effect.map(ws.closed, ({ code }) => closes.push(code)))
    ))
    return Effect.gen(function*() {
      const session = () => Effect.fail(new NotWelcome())
      assert.deepStrictEqual(yield* Effect.flip(ReconnectingClient.run(url, session)), new NotWelcome())
      assert.lengthOf(requests, 1)
      let left = 2
      const running = yield* Effect.forkChild(Effect.flip(ReconnectingClient.run(url, session, {
        retry: (loss) => loss._tag === "NotWelcome" ? left-- > 0 : undefined
      })))
      assert.deepStrictEqual(yield* eventually(Fiber.join(running)), new NotWelcome())
      assert.lengthOf(requests, 4)
      assert.deepStrictEqual(closes, [1011, 1011, 1011, 1011])
    }).pipe(Effect.provide(layer))
  })

  it.effect("the connection of a session is closed before the next one begins", () => {
    let open = 0
    const { layer } = scripted(accept((ws) =>
      Effect.acquireUseRelease(Effect.sync(() => open++), () => Stream.runDrain(ws.messages), () => Effect.sync(() => open--))
    ))
    return Effect.gen(function*() {
      let sessions = 0
      const running = yield* Effect.forkChild(ReconnectingClient.run(url, () =>
        Effect.suspend(() => {
          assert.isAtMost(open, 1)
          return ++sessions === 5 ? Effect.succeed("done") : Effect.fail(new NotWelcome())
        }), { retry: () => true }))
      assert.strictEqual(yield* eventually(Fiber.join(running)), "done")
    }).pipe(Effect.provide(layer))
  })

  it.effect("a connection that this side's own idle timeout closed is followed by the next one", () => {
    const { layer, requests } = scripted(hold, accept((ws) => Effect.andThen(ws.send("second"), Effect.never)))
    return Effect.gen(function*() {
      const running = yield* Effect.forkChild(ReconnectingClient.run(
        url,
        (ws) => Effect.map(Stream.runHead(ws.messages), (head) => head._tag === "None" ? "nothing" : head.value),
        { idleTimeout: "2 seconds" }
      ))
      assert.strictEqual(yield* eventually(Fiber.join(running)), "second")
      assert.lengthOf(requests, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a session's defect is not hidden, nor one beside the end of its connection", () => {
    const { layer } = scripted(hold)
    return Effect.gen(function*() {
      const failing = Effect.fail(new ConnectionClosed({ info: { code: 1000, reason: "", initiator: "remote", clean: true } }))
      for (const session of [Effect.die("oops"), Effect.ensuring(failing, Effect.die("oops"))]) {
        assert.isTrue(Exit.hasDies(yield* Effect.exit(ReconnectingClient.run(url, () => session))))
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("interrupting it closes what is open and runs the session's finalizers first", () => {
    const closes: Array<number> = []
    const { layer } = scripted(accept((ws) =>
      Effect.andThen(Stream.runDrain(ws.messages), Effect.map(ws.closed, ({ code }) => closes.push(code)))
    ))
    return Effect.gen(function*() {
      const order: Array<string> = []
      const running = yield* Effect.forkChild(ReconnectingClient.run(url, (ws) =>
        Effect.andThen(
          Effect.acquireRelease(ws.send("hello"), () => Effect.sync(() => order.push(`left, ${closes.length} closed`))),
          Effect.never
        )))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(running)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(order, ["left, 0 closed"])
      assert.deepStrictEqual(closes, [1001])
    }).pipe(Effect.provide(layer))
  })
})
