/**
 * The promises for connections: what a `WebSocket` does, whoever makes it. Each is checked by a client against the routes of
 * `programs.ts`. They run in pages, on Bun, Deno and workerd as well, so they know Effect and the public names only.
 *
 * What a connection cannot do, its `capabilities` say. A promise that needs it states what happens instead.
 */
import { type Message, type WebSocket, WebSocketClient } from "@effect-ws/core"
import { Cause, Effect, Exit, Fiber, Option, type Scope, Stream } from "effect"
import type { Seen } from "./programs.ts"

/** Where the programs are, and what is known about the pair beside the capabilities. */
export interface Place {
  readonly url: string
  /** The platform performs the handshake and tells little about it. */
  readonly isHandshakeHidden: boolean
}

export interface Outcome {
  readonly name: string
  /** What broke it. */
  readonly fault: string | undefined
}

type Check = (at: At) => Effect.Effect<void, unknown, WebSocketClient.Connector | Scope.Scope>

interface Given extends Omit<WebSocketClient.ConnectOptions, "keepAlive"> {}

class Broken extends Error {}

const expect = (holds: boolean, what: string): void => {
  if (!holds) throw new Broken(what)
}

const equal = (actual: unknown, expected: unknown, what: string): void => {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  expect(a === b, `${what}: ${a} instead of ${b}`)
}

let ids = 0

/** One promise's way to the programs. */
class At {
  readonly place: Place
  constructor(place: Place) {
    this.place = place
  }

  private href(path: string, id: string): string {
    return `${this.place.url}${path}${path.includes("?") ? "&" : "?"}id=${id}`
  }

  readonly connect = (path: string, options: Given = {}) => this.open(path, options)[0]

  /** A connection, and what the server saw of it. */
  readonly open = (path: string, options: Given = {}) => {
    const id = `${Date.now()}.${ids++}`
    const report = Effect.scoped(Effect.gen({ self: this }, function*() {
      const ws = yield* WebSocketClient.connect(`${this.place.url}/report?of=${id}`)
      return JSON.parse(String(yield* ws.receive)) as Seen
    }))
    return [WebSocketClient.connect(this.href(path, id), { closeTimeout: "1 second", ...options }), report] as const
  }
}

/** What the server saw, as soon as it saw the end. */
const ended = <E, R>(report: Effect.Effect<Seen, E, R>, tries = 100): Effect.Effect<Seen, E, R> =>
  Effect.flatMap(report, (seen) =>
    seen.closed !== undefined || tries === 0
      ? Effect.succeed(seen)
      : Effect.andThen(Effect.sleep(30), ended(report, tries - 1)))

/** What the server saw, as soon as it sends no more. */
const standing = <E, R>(report: Effect.Effect<Seen, E, R>, before = -1): Effect.Effect<Seen, E, R> =>
  Effect.flatMap(Effect.delay(report, 700), (seen) => seen.sent === before ? Effect.succeed(seen) : standing(report, seen.sent))

/** A close code as this connection can send it. */
const sendable = (ws: WebSocket.WebSocket, code: number): number =>
  ws.capabilities.closeCodes === "all" || code === 1000 || code === 1005 || code >= 3000 ? code : code + 3000

const failure = <A, E>(exit: Exit.Exit<A, E>): E | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Exit.findErrorOption(exit)) : undefined

const within = (millis: number, what: string) => {
  const since = Date.now()
  return () => expect(Date.now() - since < millis, `${what} took ${Date.now() - since} ms`)
}

const chunk = "x".repeat(65_536)
const mebibyte = 1024 * 1024

/** Sends until a sender has to wait, this much is sent, or nothing can be sent any more. */
const sendUntilHeld = (ws: WebSocket.WebSocket, most: number) =>
  Effect.gen(function*() {
    for (let sent = 0; sent < most; sent += chunk.length) {
      const exit = yield* Effect.exit(Effect.timeoutOption(ws.send(chunk), 700))
      if (Exit.isFailure(exit)) return "failed"
      if (exit.value._tag === "None") return "held"
    }
    return "never held"
  })

const sizes = [0, 1, 125, 126, 65_535, 65_536, 300_000]
const texts: ReadonlyArray<string> = ["ünïcödé 🦊\u0000", ...sizes.map((size) => "x".repeat(size))]
const binaries = sizes.map((size) => Uint8Array.from({ length: size }, (_, i) => i * 7))

const checks: Readonly<Record<string, Check>> = {
  "order: messages of both kinds and every size come back as they were": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/echo")
      const all: ReadonlyArray<Message.Message> = [...texts, ...binaries, ...texts.toReversed()]
      yield* Effect.forkChild(ws.sendAll(all))
      const back = yield* Stream.runCollect(Stream.take(ws.messages, all.length))
      all.forEach((message, i) => {
        const other = back[i]!
        expect(typeof other === typeof message, `message ${i} is of the other kind`)
        expect(other.length === message.length, `message ${i} has length ${other.length}, not ${message.length}`)
        expect(typeof message === "string" ? other === message : message.every((byte, at) => other[at] === byte), `message ${i} differs`)
      })
    }),

  "order: each of many senders keeps its own": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/echo")
      const send = (sender: number) =>
        Effect.forEach(Array.from({ length: 50 }, (_, i) => i), (i) => ws.send(`${sender} ${i}`), { discard: true })
      yield* Effect.forkChild(Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], send, { concurrency: "unbounded", discard: true }))
      const next = [0, 0, 0, 0, 0, 0, 0, 0]
      yield* Stream.runForEach(Stream.take(ws.messages, 400), (message) =>
        Effect.sync(() => {
          const [sender, i] = String(message).split(" ").map(Number)
          equal(i, next[sender!], `the next of sender ${sender}`)
          next[sender!]!++
        }))
      equal(next, [50, 50, 50, 50, 50, 50, 50, 50], "what each sent")
    }),

  "order: a stream of fragments arrives as one message": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/echo")
      yield* ws.sendTextStream(Stream.fromIterable(["one ", "🦊", " two"]))
      equal(yield* ws.receive, "one 🦊 two", "the text")
      yield* ws.sendBinaryStream(Stream.fromIterable([Uint8Array.of(1, 2), Uint8Array.of(3)]))
      equal([...(yield* ws.receive) as Uint8Array], [1, 2, 3], "the bytes")
    }),

  "order: a byte order mark stays": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/echo")
      yield* ws.send("\uFEFFtext")
      equal(yield* ws.receive, "\uFEFFtext", "the text")
    }),

  "order: a lone surrogate arrives as U+FFFD": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/echo")
      yield* ws.send("a\uD800b")
      equal(yield* ws.receive, "a\uFFFDb", "the text")
    }),

  "closing: what was sent before a Close arrives before it": (at) =>
    Effect.gen(function*() {
      const [connect, report] = at.open("/count")
      const ws = yield* connect
      yield* ws.sendAll(Array.from({ length: 1000 }, (_, i) => `${i} ${i % 100 === 0 ? chunk : ""}`))
      yield* ws.close(1000)
      const { closed, inOrder, received } = yield* ended(report)
      equal({ closed: closed?.code, inOrder, received }, { closed: 1000, inOrder: true, received: 1000 }, "the server")
    }),

  "closing: what the server sent before its Close is read before the end": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/number?count=1000")
      yield* Effect.sleep(200)
      const all = yield* Stream.runCollect(ws.messages)
      equal(all.length, 1000, "how many")
      equal(all.map((message) => parseInt(String(message))), Array.from({ length: 1000 }, (_, i) => i), "the messages")
      equal((yield* ws.closed).code, 1000, "the code")
    }),

  "closing: the server learns code and reason": (at) =>
    Effect.gen(function*() {
      const codes = [[undefined, ""], [1000, "bye"], [1001, "away"], [3000, ""], [4999, "ünïcödé 🦊"], [1011, "x".repeat(123)]] as const
      for (const [code, reason] of codes) {
        const [connect, report] = at.open("/count")
        const ws = yield* connect
        const info = yield* code === undefined ? ws.close() : ws.close(code, reason)
        const expected = sendable(ws, code ?? 1005)
        equal([info.code, info.reason, info.clean, info.initiator], [expected, reason, true, "local"], "this side")
        const { closed } = yield* ended(report)
        equal([closed?.code, closed?.reason, closed?.clean, closed?.initiator], [expected, reason, true, "remote"], "the server")
      }
    }),

  "closing: the client learns code and reason": (at) =>
    Effect.gen(function*() {
      for (const code of [1000, 1001, 1008, 1011, 3000, 4321]) {
        const ws = yield* at.connect(`/close?code=${code}&reason=why`)
        const info = yield* ws.closed
        equal([info.code, info.reason, info.clean, info.initiator], [code, "why", true, "remote"], "this side")
        equal((yield* Stream.runCollect(ws.messages)).length, 0, "messages")
      }
    }),

  "closing: a Close without a code is 1005 for the client": (at) =>
    Effect.gen(function*() {
      const { clean, code } = yield* (yield* at.connect("/close")).closed
      equal([code, clean], [1005, true], "the end")
    }),

  "closing: a scope closes with what its end means": (at) =>
    Effect.gen(function*() {
      const ends = [
        [1000, Effect.void],
        [1011, Effect.fail("a failure")],
        [1001, Effect.interrupt]
      ] as const
      for (const [code, effect] of ends) {
        const [connect, report] = at.open("/count")
        let expected = 0
        yield* Effect.exit(Effect.scoped(Effect.flatMap(connect, (ws) => {
          expected = sendable(ws, code)
          return effect
        })))
        equal((yield* ended(report)).closed?.code, expected, "the server")
      }
    }),

  "closing: a handler that fails closes with 1011": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/fails?fails")
      equal((yield* ws.closed).code, 1011, "the code")
    }),

  "closing: behind it nothing is sent, typed, and reading has ended": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/count")
      yield* ws.close(1000)
      const error = failure(yield* Effect.exit(ws.send("too late")))
      equal(error?._tag, "ConnectionClosed", "the send")
      expect(!ws.offerUnsafe("too late"), "an offer was accepted")
      equal((yield* Stream.runCollect(ws.messages)).length, 0, "messages")
      equal((yield* ws.close(3000)).code, 1000, "a second close")
    }),

  "closing: both at once is clean": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/closes-too?code=3001")
      yield* ws.send("close")
      const { clean, code } = yield* ws.close(3002)
      expect(clean && (code === 3001 || code === 3002), `closed with ${code}, clean: ${clean}`)
    }),

  "backpressure: a sender waits for a server that does not read, and can be interrupted": (at) =>
    Effect.gen(function*() {
      const [connect, report] = at.open("/deaf")
      const ws = yield* connect
      yield* ws.send("hello")
      let held = yield* sendUntilHeld(ws, 40 * mebibyte)
      const { capabilities } = yield* report
      if (!capabilities.inboundBackpressure) {
        // It keeps what it may, and ends the connection. What is on its way then may cut it before the Close is read.
        const { code, initiator } = yield* ws.closed
        return expect([1008, 1006].includes(code) && initiator === "remote", `ended with ${code} by ${initiator}`)
      }
      // On a busy machine a sender may stand while the systems between still take bytes: an offer is refused once they are full.
      for (let i = 0; held === "held" && ws.offerUnsafe("one more"); i++) {
        expect(i < 10, "offers are accepted although senders wait")
        held = yield* sendUntilHeld(ws, 40 * mebibyte)
      }
      equal(held, ws.capabilities.outboundBackpressure === "none" ? "never held" : "held", "the sender")
    }),

  "backpressure: a server waits for a client that does not read, and goes on when it does": (at) =>
    Effect.gen(function*() {
      const all = 512
      const [connect, report] = at.open(`/flood?count=${all}&size=65536`, { maxUnread: mebibyte })
      const ws = yield* connect
      const { capabilities, sent } = yield* standing(report)
      const reading = yield* Effect.exit(Stream.runCollect(
        Stream.take(Stream.map(ws.messages, (message) => parseInt(String(message))), all)
      ))
      if (!ws.capabilities.inboundBackpressure) {
        // It is kept up to `maxUnread`.
        const error = failure(reading)
        return equal(error?._tag === "ProtocolError" && error.rule, "TooMuchUnread", "the end")
      }
      if (capabilities.outboundBackpressure !== "none") expect(sent < all, `the server sent all ${sent}`)
      equal(Exit.isSuccess(reading) && reading.value, Array.from({ length: all }, (_, i) => i), "the messages")
    }),

  "deadlines: a close that is not answered is given up": (at) =>
    Effect.gen(function*() {
      const [connect, report] = at.open("/deaf", { closeTimeout: 300 })
      const ws = yield* connect
      const inTime = within(10_000, "closing")
      // Where it has something unread, it does not come to the Close.
      yield* ws.send("unread")
      const { clean } = yield* ws.close(1000)
      inTime()
      equal(clean, !(yield* report).capabilities.orderedClose, "whether it was clean")
    }),

  "deadlines: idleTimeout ends a connection on which nothing arrives": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/count", { idleTimeout: 300 })
      const inTime = within(10_000, "the end")
      const error = failure(yield* Effect.exit(ws.receive))
      inTime()
      expect(error !== undefined, "it did not end")
      equal([error!._tag === "ConnectionClosed" && error!.info.initiator], ["local"], `${error!._tag}: ${error!.message}`)
    }),

  "deadlines: a handshake that is not answered fails in time, or is interrupted at once": (at) =>
    Effect.gen(function*() {
      const inTime = within(10_000, "connecting")
      const error = yield* Effect.flip(at.connect("/unanswered", { handshakeTimeout: 300 }))
      equal(error._tag === "IOError" && [error.phase, error.reason], ["handshake", "TimedOut"], "the error")
      const fiber = yield* Effect.forkChild(at.connect("/unanswered"))
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(fiber)
      inTime()
    }),

  "deadlines: a write that stands still is given up": (at) =>
    Effect.gen(function*() {
      const [connect, report] = at.open("/deaf", { stalledWriteTimeout: 500 })
      const ws = yield* connect
      yield* ws.send("hello")
      if (!(yield* report).capabilities.inboundBackpressure) return
      if (ws.capabilities.outboundBackpressure === "none") return
      const exit = yield* Effect.exit(Effect.forEach(Array.from({ length: 640 }), () => ws.send(chunk), { discard: true }))
      const error = failure(exit)
      equal(error?._tag === "IOError" && [error.phase, error.reason], ["write", "TimedOut"], `the error (${error?._tag})`)
    }),

  "interruption: a receive that is interrupted loses nothing": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/echo")
      for (let i = 0; i < 10; i++) {
        equal((yield* Effect.timeoutOption(ws.receive, 5))._tag, "None", "a message")
        yield* ws.send(`${i}`)
        equal(yield* ws.receive, `${i}`, "the message")
      }
    }),

  "interruption: a reader that stops early leaves the rest": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/number?count=100")
      const first = yield* Stream.runCollect(Stream.take(ws.messages, 3))
      const rest = yield* Stream.runCollect(ws.messages)
      equal([...first, ...rest].map((message) => parseInt(String(message))), Array.from({ length: 100 }, (_, i) => i), "all")
    }),

  "limits: a message above the server's is answered with 1009": (at) =>
    Effect.gen(function*() {
      const [connect, report] = at.open("/small")
      const ws = yield* connect
      yield* ws.send(`0 ${"x".repeat(998)}`)
      yield* ws.send("x".repeat(1001))
      equal((yield* ws.closed).code, 1009, "the code")
      equal((yield* ended(report)).received, 1, "what the server received")
    }),

  "limits: a message above the client's is a ProtocolError, and closes with 1009": (at) =>
    Effect.gen(function*() {
      const [connect, report] = at.open("/flood?count=1&size=1000", { maxMessageSize: 1000 })
      const ws = yield* connect
      const error = failure(yield* Effect.exit(ws.receive))
      equal(error?._tag === "ProtocolError" && [error.code, error.rule], [1009, "MessageTooBig"], "the error")
      equal((yield* ended(report)).closed?.code, sendable(ws, 1009), "what the server was told")
    }),

  "limits: arguments that cannot be sent are refused, and the connection goes on": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/echo")
      for (const [code, reason] of [[1005, ""], [999, ""], [5000, ""], [1000, "x".repeat(124)]] as const) {
        equal((yield* Effect.flip(ws.close(code, reason)))._tag, "InvalidArgument", `${code}`)
      }
      yield* ws.send("still here")
      equal(yield* ws.receive, "still here", "the echo")
    }),

  "errors: a refusal": (at) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(at.connect("/refused"))
      if (at.place.isHandshakeHidden) return equal(error._tag === "IOError" && [error.phase, error.reason], ["connect", "Unknown"], "the error")
      equal(error._tag === "HandshakeError" && [error.status, error.body], [403, "not here"], "the error")
    }),

  "errors: a connection that is cut": (at) =>
    Effect.gen(function*() {
      const [connect, report] = at.open("/cut?late")
      const ws = yield* connect
      yield* ws.send("cut")
      const error = failure(yield* Effect.exit(Stream.runDrain(ws.messages)))
      const { clean, code } = yield* ws.closed
      // What cannot be dropped is closed.
      if (!(yield* report).capabilities.drop) return equal([error, clean, code], [undefined, true, 1011], "the end")
      equal([error?._tag, clean, code], ["IOError", false, 1006], "the end")
    }),

  "errors: a connection that is cut as soon as it is there": (at) =>
    Effect.gen(function*() {
      const [connect, report] = at.open("/cut")
      const exit = yield* Effect.exit(Effect.flatMap(connect, (ws) => Stream.runDrain(ws.messages)))
      if (!(yield* report).capabilities.drop) return expect(Exit.isSuccess(exit), "an error although it was closed")
      const error = failure(exit)
      // Firefox may not say that it was open.
      const phases = at.place.isHandshakeHidden ? ["read", "connect"] : ["read"]
      expect(error?._tag === "IOError" && phases.includes(error.phase), `${error?._tag}: ${error?.message}`)
    }),

  "errors: a Ping, or Unsupported": (at) =>
    Effect.gen(function*() {
      const ws = yield* at.connect("/count")
      const error = failure(yield* Effect.exit(ws.ping()))
      equal(error?._tag, ws.capabilities.ping ? undefined : "Unsupported", "the error")
    }),

  "subprotocols: the one that the server chose, and an error where there is none": (at) =>
    Effect.gen(function*() {
      equal((yield* at.connect("/subprotocol", { subprotocols: ["a", "b"] })).subprotocol, "b", "the subprotocol")
      const error = yield* Effect.flip(at.connect("/subprotocol", { subprotocols: ["c"] }))
      const isTold = error._tag === "HandshakeError" && error.reason === "SubprotocolMissing"
      // Chromium fails by itself.
      expect(isTold || (at.place.isHandshakeHidden && error._tag === "IOError"), `${error._tag}: ${error.message}`)
    })
}

export const names: ReadonlyArray<string> = Object.keys(checks)

const faultOf = (cause: unknown): string => cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)

/** Checks all promises, some at once, since most of them wait. */
export const run = (place: Place): Effect.Effect<ReadonlyArray<Outcome>, never, WebSocketClient.Connector> =>
  Effect.forEach(Object.entries(checks), ([name, check]) =>
    check(new At(place)).pipe(
      Effect.scoped,
      Effect.timeout("20 seconds"),
      Effect.matchCause({
        onFailure: (cause): Outcome => ({ name, fault: faultOf(Cause.squash(cause)) }),
        onSuccess: (): Outcome => ({ name, fault: undefined })
      })
    ), { concurrency: 4 })
