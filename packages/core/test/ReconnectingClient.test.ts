import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as ReconnectingClient from "../src/ReconnectingClient.ts"
import type * as WebSocket from "../src/WebSocket.ts"
import * as WebSocketServer from "../src/WebSocketServer.ts"
import { accept, eventually, hold, links, refuse, scripted, url, watch } from "./support/Scripted.ts"

const millis = (a: DateTime.Utc) => DateTime.toEpochMillis(a)

describe("ReconnectingClient.make", () => {
  it.effect("reads the messages of one connection after the other", () => {
    const { layer, requests } = scripted(
      accept((ws) => ws.sendAll(["a", "b"])),
      accept((ws) => Effect.andThen(ws.send("c"), ws.close(1011))),
      accept((ws) => Effect.andThen(ws.sendAll(["d", "e"]), Effect.never))
    )
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const reading = yield* Effect.forkChild(Stream.runCollect(Stream.take(client.messages, 5)))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(reading), ["a", "b", "c", "d", "e"])
      assert.lengthOf(requests, 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("tells its status: connecting with the attempt and its cause, open since, waiting until, ended", () => {
    const { layer } = scripted(refuse(503), accept((ws) => ws.close(1000)), hold)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const { until } = yield* watch(client)
      const waiting = yield* until("Waiting")
      assert.strictEqual(waiting.attempts, 1)
      assert.deepInclude(waiting.loss, { _tag: "HandshakeError", status: 503 })
      assert.isAtMost(millis(waiting.until), 100)
      yield* TestClock.adjust("100 millis")
      assert.deepInclude(yield* until("Connecting"), { attempt: 2, loss: waiting.loss })
      assert.isAtMost(millis((yield* until("Open")).since), 100)
      const again = yield* until("Waiting")
      assert.strictEqual(again.attempts, 2)
      assert.deepInclude(again.loss, { _tag: "ConnectionClosed" })
      assert.match(ReconnectingClient.describe(again), /^waiting until [^ ]+: The connection was closed by the peer with 1000$/)
      yield* TestClock.adjust("200 millis")
      yield* until("Open")
      const ws = yield* client.connection
      yield* ws.ping()
      const status = yield* client.status
      assert.deepInclude(status, { _tag: "Open", roundTrip: Duration.zero })
      assert.include(ReconnectingClient.describe(status), "open since 1970-01-01T00:00:00")
      yield* client.close(1000)
      assert.strictEqual((yield* until("Ended")).loss, undefined)
    }).pipe(Effect.provide(layer))
  })

  it.effect("its functions can be handed on without it", () => {
    const { layer } = scripted(accept((ws) => Stream.runForEach(ws.messages, ws.send)))
    return Effect.gen(function*() {
      const { close, messages, read, send } = yield* ReconnectingClient.make(url)
      yield* send("a")
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(read((ws) => ws.messages), 1)), ["a"])
      yield* close(1000)
      assert.deepStrictEqual(yield* Stream.runCollect(messages), [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("the statuses end with the client", () => {
    const { layer } = scripted(refuse(403))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const seen = yield* Stream.runCollect(client.statuses)
      assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["Connecting", "Ended"])
    }).pipe(Effect.provide(layer))
  })

  for (const status of [200, 301, 400, 403, 404, 407, 410, 426]) {
    it.effect(`${status} cannot get better: it ends with the refusal, after one attempt`, () => {
      const { layer, requests } = scripted(refuse(status))
      return Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url)
        const error = yield* Effect.flip(Stream.runDrain(client.messages))
        assert.deepInclude(error, { _tag: "HandshakeError", status })
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(requests, 1)
        assert.deepInclude(yield* Effect.flip(client.send("late")), { _tag: "NotConnected", reason: "Ended", cause: error })
        assert.deepInclude(yield* Effect.flip(client.connection), { _tag: "NotConnected", reason: "Ended" })
        assert.deepInclude(yield* client.status, { _tag: "Ended", loss: error })
      }).pipe(Effect.provide(layer))
    })
  }

  for (const status of [408, 425, 429, 500, 502, 503]) {
    it.effect(`${status} may get better: another attempt follows`, () => {
      const { layer } = scripted(refuse(status), refuse(status), hold)
      return Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url)
        yield* TestClock.adjust("1 second")
        yield* client.connection
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("an invalid URL ends it before anything is dialled", () => {
    const { layer, requests } = scripted(hold)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make("ws://a.example/#fragment")
      const error = yield* Effect.flip(Stream.runDrain(client.messages))
      assert.deepInclude(error, { _tag: "HandshakeError", reason: "UrlFragment" })
      assert.lengthOf(requests, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("after a 401 there is exactly one attempt, at once and with fresh credentials", () => {
    const { layer, requests } = scripted(refuse(401))
    return Effect.gen(function*() {
      const attempts: Array<ReconnectingClient.Status["_tag"] | number> = []
      const client = yield* ReconnectingClient.make(url, {
        headers: Effect.map(ReconnectingClient.CurrentAttempt, ({ attempt, loss }) => {
          attempts.push(attempt)
          return { authorization: `Bearer ${loss === undefined ? "stale" : "fresh"}` }
        })
      })
      assert.deepInclude(yield* Effect.flip(Stream.runDrain(client.messages)), { _tag: "HandshakeError", status: 401 })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(requests.map(({ headers }) => headers["authorization"]), ["Bearer stale", "Bearer fresh"])
      assert.deepStrictEqual(attempts, [1, 2])
    }).pipe(Effect.provide(layer))
  })

  it.effect("credentials that expire are renewed as often as they were accepted", () => {
    const accepted = accept((ws) => ws.close(1011))
    const { layer, requests } = scripted(refuse(401), accepted, refuse(401), accepted, refuse(401), refuse(401))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const ended = yield* Effect.forkChild(Effect.flip(Stream.runDrain(client.messages)))
      assert.deepInclude(yield* eventually(Fiber.join(ended)), { status: 401 })
      assert.lengthOf(requests, 6)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a Close with 4401 gives one attempt with fresh credentials, and another one once they were good for a while", () => {
    const rejected = accept((ws) => ws.close(4401, "token expired"))
    const late = accept((ws) => Effect.andThen(Effect.sleep("10 seconds"), ws.close(4401, "token expired")))
    const { layer, requests } = scripted(rejected, late, late, rejected)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const ended = yield* Effect.forkChild(Effect.flip(Stream.runDrain(client.messages)))
      yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(ended)
      assert.strictEqual(error._tag === "ConnectionClosed" ? error.info.code : error, 4401)
      assert.lengthOf(requests, 4)
    }).pipe(Effect.provide(layer))
  })

  for (const code of [1002, 1003, 1007, 1008, 4400, 4403, 4404]) {
    it.effect(`a Close with ${code} ends it`, () => {
      const { layer, requests } = scripted(accept((ws) => ws.close(code, "no")))
      return Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url)
        const error = yield* Effect.flip(Stream.runDrain(client.messages))
        assert.strictEqual(error._tag === "ConnectionClosed" ? error.info.code : error, code)
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(requests, 1)
      }).pipe(Effect.provide(layer))
    })
  }

  for (const code of [1000, 1001, 1009, 1011, 3000, 4000, 4408, 4429, 4500]) {
    it.effect(`a Close with ${code} is followed by another attempt`, () => {
      const { layer } = scripted(accept((ws) => ws.close(code)), hold)
      return Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url)
        const { until } = yield* watch(client)
        yield* until("Waiting")
        yield* TestClock.adjust("3 seconds")
        yield* client.connection
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("the server's Retry-After is waited for, and a part more so that not all come at once", () => {
    const { layer, requests } = scripted(refuse(503, { "retry-after": "60" }), hold)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const { until } = yield* watch(client)
      const waiting = yield* until("Waiting")
      assert.isAtLeast(millis(waiting.until), 60_000)
      assert.isAtMost(millis(waiting.until), 90_100)
      yield* TestClock.adjust("59 seconds")
      assert.lengthOf(requests, 1)
      yield* TestClock.setTime(millis(waiting.until) + 1)
      yield* client.connection
    }).pipe(Effect.provide(layer))
  })

  for (const code of [1012, 1013]) {
    it.effect(`after a Close with ${code} it stays away for 5 to 30 seconds`, () => {
      const { layer } = scripted(accept((ws) => ws.close(code)), hold)
      return Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url)
        const { until } = yield* watch(client)
        const waiting = yield* until("Waiting")
        assert.isAtLeast(millis(waiting.until), 5000)
        assert.isAtMost(millis(waiting.until), 30_100)
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("delays are a random part of 100 ms, doubled with each attempt up to 30 s", () => {
    const { layer } = scripted(refuse(500))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const { until } = yield* watch(client)
      const parts: Array<number> = []
      for (let i = 0; i < 200; i++) {
        const now = yield* Clock.currentTimeMillis
        const waiting = yield* until("Waiting")
        assert.strictEqual(waiting.attempts, i + 1)
        const delay = millis(waiting.until) - now
        const most = Math.min(30_000, 100 * 2 ** i)
        assert.isAtLeast(delay, 0)
        assert.isAtMost(delay, most + 1)
        parts.push(delay / most)
        yield* TestClock.setTime(millis(waiting.until) + 1)
      }
      const mean = parts.reduce((a, b) => a + b) / parts.length
      assert.isAbove(mean, 0.35)
      assert.isBelow(mean, 0.65)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a connection that was open for 10 seconds starts the count anew, a shorter one does not", () => {
    const after = (seconds: number) => accept((ws) => Effect.andThen(Effect.sleep(`${seconds} seconds`), ws.close(1011)))
    const { layer } = scripted(refuse(500), refuse(500), after(9), after(11), hold)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const { until } = yield* watch(client)
      const counts: Array<number> = []
      for (let i = 0; i < 4; i++) {
        const waiting = yield* eventually(until("Waiting"))
        counts.push(waiting.attempts)
      }
      assert.deepStrictEqual(counts, [1, 2, 3, 0])
    }).pipe(Effect.provide(layer))
  })

  it.effect("attempts that fail after a healthy connection grow apart, however long ago that was", () => {
    const { layer } = scripted(accept((ws) => Effect.andThen(Effect.sleep("11 seconds"), ws.close(1011))), refuse(500))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const { until } = yield* watch(client)
      const counts: Array<number> = []
      for (let i = 0; i < 8; i++) counts.push((yield* eventually(until("Waiting"))).attempts)
      assert.deepStrictEqual(counts, [0, 1, 2, 3, 4, 5, 6, 7])
    }).pipe(Effect.provide(layer))
  })

  it.effect("the status keeps what ended it, after its scope as well", () => {
    const { layer } = scripted(refuse(403))
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(ReconnectingClient.make(url), scope)
      const loss = yield* Effect.flip(Stream.runDrain(client.messages))
      yield* client.close(1000)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* client.status, { _tag: "Ended", loss })
      assert.deepStrictEqual(yield* Effect.flip(Stream.runDrain(client.messages)), loss)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a server that ends its stream without a Close is noticed at once, though nobody reads", () => {
    const { layer, requests } = scripted(accept((ws) => Effect.andThen(ws.send("unread"), Effect.never)))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const { until } = yield* watch(client)
      yield* until("Open")
      yield* TestClock.adjust("1 second")
      yield* (yield* links)[0].halfClose("server")
      const { loss } = yield* until("Waiting")
      assert.deepInclude(loss, { _tag: "IOError", reason: "EndOfStream" })
      yield* eventually(until("Open"))
      assert.lengthOf(requests, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a schedule of one's own decides on the delays, and ends it when it is done", () => {
    const { layer, requests } = scripted(refuse(500))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url, {
        schedule: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 2 }))
      })
      const ended = yield* Effect.forkChild(Effect.flip(Stream.runDrain(client.messages)))
      yield* TestClock.adjust("59 seconds")
      assert.lengthOf(requests, 1)
      yield* TestClock.adjust("61 seconds")
      assert.deepInclude(yield* Fiber.join(ended), { status: 500 })
      assert.lengthOf(requests, 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("`retry` decides about each loss: to end, to go on, when, or as by default", () => {
    const closes = (code: number) => accept((ws) => ws.close(code))
    const { layer, requests } = scripted(refuse(403), closes(1008), closes(4000), closes(1011), closes(4321))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url, {
        retry: (loss) => {
          if (loss._tag === "HandshakeError") return true
          if (loss._tag !== "ConnectionClosed") return undefined
          const { code } = loss.info
          return code === 1008 ? "20 seconds" : code === 4321 ? false : undefined
        }
      })
      const { until } = yield* watch(client)
      yield* until("Waiting")
      yield* TestClock.adjust("100 millis")
      const waiting = yield* until("Waiting")
      assert.isAtLeast(millis(waiting.until), 20_000)
      yield* TestClock.adjust("30 seconds")
      const { loss } = yield* until("Ended")
      assert.strictEqual(loss?._tag === "ConnectionClosed" ? loss.info.code : loss, 4321)
      assert.lengthOf(requests, 5)
    }).pipe(Effect.provide(layer))
  })

  it.effect("URL, headers and subprotocols run at each attempt; what they fail with ends it, typed, unless `retry` says no", () => {
    class NoToken extends Schema.TaggedError<NoToken>()("NoToken", { tries: Schema.Int }) {}
    const { layer, requests } = scripted(
      WebSocketServer.handle((ws) => ws.close(1011), { selectSubprotocol: ["a1", "a2", "a3"] })
    )
    return Effect.gen(function*() {
      let tries = 0
      const client = yield* ReconnectingClient.make(Effect.sync(() => `${url}?try=${++tries}`), {
        headers: Effect.suspend(() => Effect.succeed({ "x-try": String(tries) })),
        subprotocols: Effect.suspend(() =>
          tries === 2 || tries === 4 ? Effect.fail(new NoToken({ tries })) : Effect.succeed(`a${tries}`)
        ),
        retry: (loss) => loss._tag === "NoToken" ? loss.tries < 4 : undefined
      })
      const ended = yield* Effect.forkChild(Effect.flip(Stream.runDrain(client.messages)))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(ended)
      assert.deepStrictEqual(error, new NoToken({ tries: 4 }))
      assert.deepStrictEqual(requests.map((request) => request.url), ["/?try=1", "/?try=3"])
      assert.deepStrictEqual(requests.map(({ headers }) => headers["sec-websocket-protocol"]), ["a1", "a3"])
      assert.deepStrictEqual(requests.map(({ headers }) => headers["x-try"]), ["1", "3"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a defect of the program's own effects is not hidden", () => {
    const { layer } = scripted(hold)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(Effect.die("oops"))
      const exit = yield* Effect.exit(Stream.runDrain(client.messages))
      assert.deepStrictEqual(exit, Exit.die("oops"))
      assert.deepInclude(yield* client.status, { _tag: "Ended" })
    }).pipe(Effect.provide(layer))
  })

  for (const [how, end] of Object.entries({
    "that was reset": () => Effect.never,
    "that the server closed": (ws: WebSocket.WebSocket) => Effect.asVoid(ws.close(1011))
  })) {
  it.effect(`a reader that is slow gets what had arrived on a connection ${how} before what follows`, () => {
    const { layer } = scripted(
      accept((ws) => Effect.andThen(ws.sendAll(["a", "b", "c"]), end(ws))),
      accept((ws) => Effect.andThen(ws.sendAll(["d"]), Effect.never))
    )
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const [busy, first] = [Latch.makeUnsafe(), Latch.makeUnsafe()]
      const read: Array<unknown> = []
      yield* Effect.forkChild(Stream.runForEach(client.messages, (message) => {
        read.push(message)
        return Effect.andThen(first.open, busy.await)
      }))
      yield* first.await
      const [link] = yield* links
      if (how === "that was reset") yield* link.reset
      yield* TestClock.adjust("1 second")
      yield* client.connection
      assert.lengthOf(yield* links, 2)
      assert.deepStrictEqual(read, ["a"])
      yield* busy.open
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(read, ["a", "b", "c", "d"])
    }).pipe(Effect.provide(layer))
  })
  }

  it.effect("a stream that stops loses nothing, whatever becomes of the connection meanwhile", () => {
    const { layer } = scripted(
      accept((ws) => Effect.andThen(ws.sendAll(["a", "b", "c"]), Effect.never)),
      accept((ws) => Effect.andThen(ws.sendAll(["d"]), Effect.never))
    )
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const read = (n: number) => Stream.runCollect(Stream.take(client.messages, n))
      assert.deepStrictEqual(yield* read(1), ["a"])
      const [link] = yield* links
      yield* link.reset
      yield* TestClock.adjust("1 second")
      yield* client.connection
      assert.deepStrictEqual(yield* read(1), ["b"])
      assert.deepStrictEqual(yield* read(2), ["c", "d"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a second reader is told that there is one", () => {
    const { layer } = scripted(hold)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      yield* Effect.forkChild(Stream.runDrain(client.messages), { startImmediately: true })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(Stream.runDrain(client.messages))))
    }).pipe(Effect.provide(layer))
  })

  it.effect("a server that falls silent is noticed by the keepalive", () => {
    const { layer, requests } = scripted(hold)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      yield* client.connection
      const { until } = yield* watch(client)
      const [link] = yield* links
      yield* link.drop
      yield* TestClock.adjust("1 minute")
      assert.deepInclude((yield* until("Waiting")).loss, { _tag: "IOError", phase: "keepalive" })
      yield* client.connection
      assert.lengthOf(requests, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a server that should speak and says nothing is given up after `maxSilence`; what is not read yet is no silence", () => {
    const talks = accept((ws) =>
      Effect.gen(function*() {
        for (let i = 0; i < 5; i++) yield* Effect.andThen(ws.send(`${i}`), Effect.sleep("8 seconds"))
        return yield* Effect.never
      }))
    const { layer, requests } = scripted(talks, hold)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url, { maxSilence: "10 seconds" })
      const { until } = yield* watch(client)
      yield* until("Open")
      // Five messages that nobody reads.
      yield* TestClock.adjust("80 seconds")
      assert.lengthOf(requests, 1)
      yield* Effect.forkScoped(Stream.runDrain(client.messages))
      yield* TestClock.adjust("9 seconds")
      assert.lengthOf(requests, 1)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude((yield* until("Waiting")).loss, { _tag: "IOError", phase: "keepalive", reason: "TimedOut" })
      yield* eventually(until("Open"))
    }).pipe(Effect.provide(layer))
  })
})

describe("sending through a client that comes back", () => {
  const collect = () => {
    const received: Array<unknown> = []
    return {
      received,
      answer: accept((ws) => Stream.runForEach(ws.messages, (message) => Effect.sync(() => received.push(message))))
    }
  }

  it.effect("while away a sender waits, in order, for the next connection", () => {
    const { answer, received } = collect()
    const { layer } = scripted(refuse(500), answer)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const sending = yield* Effect.forkChild(
        Effect.forEach(["a", "b", "c"], (message) => client.send(message), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(sending)
      yield* Stream.run(Stream.make("d", "e"), client.sink)
      yield* client.flush
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(received, ["a", "b", "c", "d", "e"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a sender that is interrupted while it waits has sent nothing", () => {
    const { answer, received } = collect()
    const { layer } = scripted(refuse(500), answer)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url, { maxWaiting: 1 })
      const gone = yield* Effect.forkChild(client.send("gone"), { startImmediately: true })
      assert.deepInclude(yield* Effect.flip(client.send("more")), { _tag: "NotConnected", reason: "TooManyWaiting" })
      yield* Fiber.interrupt(gone)
      const sending = yield* Effect.forkChild(client.send("kept"), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(sending)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(received, ["kept"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("it can fail or drop instead, by option or for one message", () => {
    const { answer, received } = collect()
    const { layer } = scripted(refuse(500), answer)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url, { whileAway: "fail" })
      const { until } = yield* watch(client)
      const { loss } = yield* until("Waiting")
      assert.deepInclude(yield* Effect.flip(client.send("a")), { _tag: "NotConnected", reason: "Away", cause: loss })
      yield* client.send("b", { whileAway: "drop" })
      assert.strictEqual(yield* client.dropped, 1)
      const waits = yield* Effect.forkChild(client.send("c", { whileAway: "wait" }), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(waits)
      yield* client.send("d")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(received, ["c", "d"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("what a broken connection had accepted is reported, and not sent again", () => {
    const { answer, received } = collect()
    const { layer } = scripted(answer)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      yield* client.connection
      const [link] = yield* links
      yield* link.stall("client")
      yield* client.send("lost?")
      yield* link.reset
      yield* TestClock.adjust("1 second")
      yield* client.send("later")
      assert.deepInclude(yield* Effect.flip(client.flush), { _tag: "DeliveryUnknown" })
      yield* client.flush
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(received, ["later"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a connection that closed in order has delivered what it accepted", () => {
    const { answer, received } = collect()
    const { layer } = scripted(accept((ws) => Effect.andThen(ws.receive, ws.close(1011))), answer)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const { until } = yield* watch(client)
      yield* client.send("last words")
      yield* until("Waiting")
      yield* TestClock.adjust("10 seconds")
      yield* client.flush
      yield* client.send("later", { flush: true })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(received, ["later"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("what was flushed before a connection broke is known, and what broke is told once", () => {
    const { answer } = collect()
    const { layer } = scripted(answer)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const cut = Effect.gen(function*() {
        yield* (yield* links).at(-1)!.reset
        yield* TestClock.adjust("5 seconds")
        yield* client.connection
      })
      yield* client.send("flushed", { flush: true })
      yield* cut
      yield* client.flush

      const [, link] = yield* links
      yield* link.stall("client")
      yield* client.send("x".repeat(150_000))
      const flushing = yield* Effect.forkChild(Effect.flip(client.flush), { startImmediately: true })
      yield* cut
      assert.deepInclude(yield* Fiber.join(flushing), { _tag: "DeliveryUnknown" })
      yield* client.flush
    }).pipe(Effect.provide(layer))
  })

  it.effect("a sender that waits for the transport is told when the connection breaks", () => {
    const { answer, received } = collect()
    const { layer } = scripted(answer)
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      yield* client.connection
      const [link] = yield* links
      yield* link.stall("client")
      yield* client.send("x".repeat(200_000))
      const flushing = yield* Effect.forkChild(Effect.flip(client.send("flushed", { flush: true })), { startImmediately: true })
      const waiting = yield* Effect.forkChild(Effect.flip(client.send("y".repeat(10))), { startImmediately: true })
      yield* link.reset
      const errors = [(yield* Fiber.join(flushing))._tag, (yield* Fiber.join(waiting))._tag]
      assert.deepStrictEqual(errors, ["NotConnected", "NotConnected"])
      yield* TestClock.adjust("1 second")
      yield* client.send("next", { flush: true })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(received, ["next"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("`onOpen` speaks first on each connection, and its own failure ends the client", () => {
    class Unwelcome extends Schema.TaggedError<Unwelcome>()("Unwelcome", {}) {}
    const { answer, received } = collect()
    const { layer } = scripted(refuse(500), answer, answer)
    return Effect.gen(function*() {
      let opened = 0
      const client = yield* ReconnectingClient.make(url, {
        onOpen: (ws) => ++opened === 3 ? Effect.fail(new Unwelcome()) : Effect.orDie(ws.send(`hello ${opened}`))
      })
      const sending = yield* Effect.forkChild(client.send("a"), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(sending)
      yield* client.flush
      yield* TestClock.adjust("100 millis")
      yield* (yield* links)[0].reset
      yield* TestClock.adjust("1 second")
      yield* client.send("b", { flush: true })
      yield* TestClock.adjust("100 millis")
      yield* (yield* links)[1].reset
      const ended = yield* Effect.forkChild(Effect.flip(Stream.runDrain(client.messages)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(ended), new Unwelcome())
      assert.deepStrictEqual(received, ["hello 1", "a", "hello 2", "b"])
    }).pipe(Effect.provide(layer))
  })
})
