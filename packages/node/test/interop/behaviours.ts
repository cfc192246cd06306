/** What every peer and this library must do together, whichever of them dialled. */
import { Limits, type Message } from "@effect-ws/core"
import { assert } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import type { OpenPair, Pair } from "./ours.ts"
import type { Ability, PeerSocket, Violation } from "./peer.ts"

export interface Behaviour {
  readonly name: string
  readonly needs: ReadonlyArray<Ability>
  readonly run: (open: OpenPair) => Effect.Effect<void, unknown, Scope.Scope>
}

const MiB = 1024 * 1024

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

const bytes = (size: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (i * 31 + seed) & 0xff)

/** Every plane, with its edges; surrogates are no characters. */
const planes = Array.from({ length: 17 }, (_, plane) =>
  [0, 1, 0x41, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfdd0, 0xfffd, 0xfffe, 0xffff]
    .map((low) => String.fromCodePoint(plane * 0x10000 + low))
    .join(""))

const texts: ReadonlyArray<string> = [
  "hello",
  "",
  "\u0000",
  "a BOM\uFEFF",
  "\uFFFD",
  "e\u0301\u202E\u200D👩‍👩‍👧‍👦",
  ...planes,
  planes.join("").repeat(300)
]

const boms = ["\uFEFF", "\uFEFFa BOM is text", "\uFEFF\uFEFF"]

const sizes = [0, 1, 125, 126, 127, 65535, 65536, MiB]

/** mulberry32: the same numbers for the same seed. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

/** Mostly small ones, now and then one of several frames' worth of TCP. */
const randomMessages = (count: number, seed: number): Array<Message.Message> => {
  const next = random(seed)
  return Array.from({ length: count }, () => {
    const size = Math.floor(next() * (next() < 0.02 ? 40_000 : 500))
    if (next() < 0.5) return Uint8Array.from({ length: size }, () => next() * 256)
    const points = Array.from({ length: size }, () => Math.floor(next() * (next() < 0.5 ? 0x80 : 0x110000)))
    return points.map((point) => (point >= 0xd800 && point <= 0xdfff ? "" : String.fromCodePoint(point))).join("")
  })
}

const same = (got: Message.Message, wanted: Message.Message, at: number): void => {
  if (typeof got === "string" || typeof wanted === "string") {
    if (got !== wanted) assert.fail(`message ${at}: ${describe(got)} in place of ${describe(wanted)}`)
  } else if (!Buffer.from(wanted).equals(got)) {
    assert.fail(`message ${at}: ${describe(got)} in place of ${describe(wanted)}`)
  }
}

// What is megabytes long is not worth a diff.
const describe = (message: Message.Message): string =>
  `${typeof message === "string" ? "text" : "binary"} of ${message.length} beginning ${
    JSON.stringify(typeof message === "string" ? message.slice(0, 20) : Array.from(message.subarray(0, 10)))
  }`

const peerGets = (peer: PeerSocket, wanted: ReadonlyArray<Message.Message>): Effect.Effect<void> =>
  Effect.promise(async () => {
    for (const [at, message] of wanted.entries()) same(await peer.message(), message, at)
  })

const weGet = ({ ours }: Pair, wanted: ReadonlyArray<Message.Message>) =>
  Effect.gen(function*() {
    for (const [at, message] of wanted.entries()) same(yield* ours.receive, message, at)
  })

const bothWays = (messages: ReadonlyArray<Message.Message>): Behaviour["run"] => (open) =>
  Effect.gen(function*() {
    const pair = yield* open()
    yield* Effect.forkChild(pair.ours.sendAll(messages))
    yield* peerGets(pair.peer, messages)
    pair.peer.send(messages)
    yield* weGet(pair, messages)
  })

const digest = (messages: ReadonlyArray<Message.Message>): string => {
  const hash = createHash("sha256")
  for (const message of messages) {
    const payload = Buffer.from(message as Uint8Array)
    hash.update(`${typeof message}${payload.length} `).update(payload)
  }
  return hash.digest("hex")
}

const peerCollects = async (peer: PeerSocket, count: number): Promise<Array<Message.Message>> => {
  const messages: Array<Message.Message> = []
  while (messages.length < count) messages.push(await peer.message())
  return messages
}

/** Closes from the peer's side; our stream ends normally behind everything. */
const collectToEnd = (pair: Pair) => Stream.runCollect(pair.ours.messages)

const closeCodes: ReadonlyArray<readonly [code: number, reason: string]> = [
  [1000, ""],
  [1000, "done"],
  [3000, "as agreed"],
  [4999, "ß→𝄞".repeat(12)]
]

const shown = (code: number | undefined, reason: string): string =>
  `${code ?? "no code"}${reason === "" ? "" : " and a reason"}`

const weClose = (code: number | undefined, reason: string): Behaviour => ({
  name: `we close with ${shown(code, reason)}`,
  needs: [],
  run: (open) =>
    Effect.gen(function*() {
      const { ours, peer } = yield* open()
      yield* ours.send("last words")
      const info = yield* ours.close(code, reason)
      yield* peerGets(peer, ["last words"])
      const closed = yield* Effect.promise(() => peer.closed)
      assert.deepStrictEqual(closed, { code: code ?? 1005, reason })
      assert.deepStrictEqual(info.sent, { code: code ?? 1005, reason })
      assert.strictEqual(info.initiator, "local")
      assert.isTrue(info.clean)
      assert.strictEqual(info.received?.code, code ?? 1005)
      assert.deepStrictEqual(yield* ours.closed, info)
    })
})

const peerCloses = (code: number | undefined, reason: string): Behaviour => ({
  name: `the peer closes with ${shown(code, reason)}`,
  needs: code === undefined ? ["emptyClose"] : [],
  run: (open) =>
    Effect.gen(function*() {
      const pair = yield* open()
      const { ours, peer } = pair
      peer.send(["last words"])
      peer.close(code, reason)
      assert.deepStrictEqual(yield* collectToEnd(pair), ["last words"])
      const info = yield* ours.closed
      assert.deepStrictEqual(info.received, { code: code ?? 1005, reason })
      assert.strictEqual(info.code, code ?? 1005)
      assert.strictEqual(info.reason, reason)
      assert.strictEqual(info.initiator, "remote")
      assert.isTrue(info.clean)
      // The echo of its code (RFC 6455 §5.5.1).
      assert.strictEqual((yield* Effect.promise(() => peer.closed)).code, code ?? 1005)
      const late = yield* Effect.flip(ours.send("too late"))
      assert.strictEqual(late._tag, "ConnectionClosed")
    })
})

const violation = (violation: Violation, code: number): Behaviour => ({
  name: `the peer breaks a rule, ${violation}, and is told ${code}`,
  needs: ["violations"],
  run: (open) =>
    Effect.gen(function*() {
      const pair = yield* open()
      pair.peer.send(["before"])
      yield* weGet(pair, ["before"])
      pair.peer.violate(violation)
      const error = yield* Effect.flip(collectToEnd(pair))
      assert.strictEqual(error._tag, "ProtocolError")
      if (error._tag === "ProtocolError") assert.strictEqual(error.rule, violation)
      assert.strictEqual((yield* Effect.promise(() => pair.peer.closed)).code, code)
    })
})

const fragmented = {
  text: Array.from({ length: 40 }, (_, i) => planes[i % 17]!.repeat(i % 3)),
  binary: Array.from({ length: 40 }, (_, i) => bytes(i * 77, i))
}

export const behaviours: ReadonlyArray<Behaviour> = [
  { name: "text of every plane, and empty", needs: [], run: bothWays(texts) },
  { name: "text that begins with a BOM", needs: ["keepsBom"], run: bothWays(boms) },
  {
    name: "text of the peer that begins with a BOM",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const pair = yield* open()
        pair.peer.send(boms)
        yield* weGet(pair, boms)
      })
  },
  { name: "binary of each length form up to the limit", needs: [], run: bothWays(sizes.map((size) => bytes(size))) },
  {
    name: "messages of the peer in fragments",
    needs: ["fragments"],
    run: (open) =>
      Effect.gen(function*() {
        const pair = yield* open()
        pair.peer.send([{ fragments: fragmented.text }, "between", { fragments: fragmented.binary }])
        yield* weGet(pair, [fragmented.text.join(""), "between", concat(fragmented.binary)])
      })
  },
  {
    name: "messages of ours in fragments",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const { ours, peer } = yield* open()
        yield* ours.sendTextStream(Stream.fromIterable(fragmented.text))
        yield* ours.send("between")
        yield* ours.sendBinaryStream(Stream.fromIterable(fragmented.binary))
        yield* peerGets(peer, [fragmented.text.join(""), "between", concat(fragmented.binary)])
      })
  },
  {
    name: "pings of the peer, between fragments and alone, answered with their payload",
    needs: ["ping", "fragments"],
    run: (open) =>
      Effect.gen(function*() {
        const pair = yield* open()
        const { peer } = pair
        for (const payload of [bytes(0), bytes(4, 9), bytes(125, 3)]) {
          peer.send([{ fragments: ["in ", "two"], ping: payload }])
          assert.deepStrictEqual(yield* Effect.promise(() => peer.pong()), payload)
          peer.ping(concat([payload.subarray(1), bytes(1)]))
          assert.deepStrictEqual(yield* Effect.promise(() => peer.pong()), concat([payload.subarray(1), bytes(1)]))
        }
        // Nobody read until now: pongs do not wait for that.
        yield* weGet(pair, ["in two", "in two", "in two"])
      })
  },
  {
    name: "pings of ours give the round trip",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const { ours } = yield* open()
        const trips = yield* Effect.all([ours.ping(), ours.ping(bytes(125)), ours.ping(bytes(0))], {
          concurrency: "unbounded"
        })
        for (const trip of trips) {
          assert.isAbove(Duration.toMillis(trip), 0)
          assert.isBelow(Duration.toMillis(trip), 5_000)
        }
        yield* ours.sendPing()
        yield* ours.ping()
      })
  },
  {
    name: "a subprotocol that both speak",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const { ours, peer } = yield* open({ protocols: ["chat.v9", "chat.v1", "chat.v2"], supported: ["chat.v1"] })
        assert.strictEqual(ours.subprotocol, "chat.v1")
        assert.strictEqual(peer.protocol, "chat.v1")
      })
  },
  {
    name: "no subprotocol where none is offered",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const { ours, peer } = yield* open({ supported: ["chat.v1"] })
        assert.isUndefined(ours.subprotocol)
        assert.strictEqual(peer.protocol, "")
      })
  },
  {
    name: "headers and cookies of the request",
    needs: ["requestHeaders"],
    run: (open) =>
      Effect.gen(function*() {
        const headers = { "x-token": "a, b;c=\"d\"", cookie: "one=1; two=zwei", "user-agent": "interop" }
        const { requestHeaders } = yield* open({ headers })
        for (const [name, value] of Object.entries(headers)) assert.strictEqual(requestHeaders[name], value)
      })
  },
  weClose(undefined, ""),
  peerCloses(undefined, ""),
  ...closeCodes.flatMap(([code, reason]) => [weClose(code, reason), peerCloses(code, reason)]),
  {
    name: "both close at once",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const { ours, peer } = yield* open()
        const closing = yield* Effect.forkChild(ours.close(3001, "ours"))
        peer.close(3002, "theirs")
        const info = yield* Fiber.join(closing)
        assert.isTrue(info.clean)
        // Whichever Close was first, nobody is left waiting.
        assert.include([3001, 3002], info.code)
        assert.include([3001, 3002], (yield* Effect.promise(() => peer.closed)).code)
      })
  },
  {
    name: "the peer vanishes without a Close",
    needs: ["cut"],
    run: (open) =>
      Effect.gen(function*() {
        const pair = yield* open()
        pair.peer.send(["last words"])
        yield* weGet(pair, ["last words"])
        pair.peer.cut()
        const error = yield* Effect.flip(collectToEnd(pair))
        assert.strictEqual(error._tag, "IOError")
        if (error._tag === "IOError") assert.include(["EndOfStream", "Reset"], error.reason)
        const info = yield* pair.ours.closed
        assert.strictEqual(info.code, 1006)
        assert.isFalse(info.clean)
      })
  },
  violation("InvalidUtf8", 1007),
  violation("ContinuationUnexpected", 1002),
  {
    name: "a message above the limit is refused with 1009",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const pair = yield* open()
        const reading = yield* Effect.forkChild(Effect.result(collectToEnd(pair)))
        pair.peer.send(["before", bytes(Limits.defaults.maxMessageSize + 1)])
        const result = yield* Fiber.join(reading)
        assert.isTrue(Result.isFailure(result))
        if (Result.isSuccess(result)) return
        assert.strictEqual(result.failure._tag, "ProtocolError")
        if (result.failure._tag === "ProtocolError") assert.strictEqual(result.failure.rule, "MessageTooBig")
        assert.strictEqual((yield* Effect.promise(() => pair.peer.closed)).code, 1009)
      })
  },
  {
    name: "the end of our program is told to the peer",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const { end, endCode, ours, peer } = yield* open()
        yield* ours.send("still here")
        yield* end
        yield* peerGets(peer, ["still here"])
        assert.strictEqual((yield* Effect.promise(() => peer.closed)).code, endCode)
        const info = yield* ours.closed
        assert.isTrue(info.clean)
        assert.strictEqual(info.sent?.code, endCode)
      })
  },
  {
    name: "10,000 small messages in a row, each way",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const messages = Array.from({ length: 10_000 }, (_, i) => (i % 2 === 0 ? `message ${i}` : bytes(i % 50, i)))
        const pair = yield* open()
        const collected = yield* Effect.forkChild(Effect.promise(() => peerCollects(pair.peer, messages.length)))
        yield* Stream.run(Stream.fromIterable(messages), pair.ours.sink)
        assert.strictEqual(digest(yield* Fiber.join(collected)), digest(messages))
        pair.peer.send(messages)
        pair.peer.close(1000)
        assert.strictEqual(digest(yield* collectToEnd(pair)), digest(messages))
      })
  },
  {
    name: "2,000 random messages, both ways at once, in order",
    needs: [],
    run: (open) =>
      Effect.gen(function*() {
        const seed = Date.now() & 0x7fffffff
        const mine = randomMessages(2_000, seed)
        const theirs = randomMessages(2_000, seed + 1)
        const pair = yield* open()
        const soak = Effect.all([
          Effect.forEach(mine, pair.ours.send, { discard: true }),
          Effect.sync(() => pair.peer.send(theirs)),
          peerGets(pair.peer, mine),
          weGet(pair, theirs)
        ], { concurrency: "unbounded", discard: true })
        yield* Effect.tapCause(soak, () => Effect.logError(`the seed was ${seed}`))
      })
  }
]
