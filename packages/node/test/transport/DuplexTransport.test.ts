/** A Node stream as a transport: the promises of `Transport`, on TCP and TLS sockets and other streams. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Primitives } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import { Duplex, duplexPair } from "node:stream"
import * as DuplexTransport from "../../src/transport/DuplexTransport.ts"
import * as SharedReads from "../../src/undocumented/SharedReads.ts"
import * as SocketProbe from "../../src/undocumented/SocketProbe.ts"
import { until } from "../support/RawPeer.ts"
import { secureSockets } from "../support/SecureSockets.ts"
import { type Make, pairOf, promises, Seen } from "../support/TransportPromises.ts"

const documented = { primitives: Primitives.portable, isShared: false }
const make: Make = (socket, early) => DuplexTransport.make(socket, early, documented)
const makeShared: Make = (socket, early) => DuplexTransport.make(socket, early, { ...documented, isShared: true })

const pair = pairOf(make)
const secure = { connect: secureSockets, takesAtOnce: false }

describe("DuplexTransport", () => {
  describe("of a TCP socket", () => {
    promises(make)
  })

  describe("of a TLS socket", () => {
    promises(make, secure)
  })

  describe("of a TLS socket that is read into the shared buffer", () => {
    // Also where the process was started with documented interfaces only.
    beforeAll(() => SocketProbe.run())

    promises(makeShared, secure)

    it.live("a pause between two chunks that waited holds the second, the end behind it, and the socket", () =>
      Effect.gen(function*() {
        const { peer, socket } = yield* secureSockets
        assert.isTrue(SharedReads.canShare(socket))
        const transport = makeShared(socket, Buffer.from("early "))
        const seen = new Seen()
        peer.write("between")
        yield* until("the bytes", () => socket.readableLength === 7)
        seen.during = () => transport.pause()
        transport.start(seen)
        yield* until("the first", () => seen.text === "early ")
        peer.write(new Uint8Array(1 << 20))
        peer.socket.end()
        yield* Effect.sleep(30)
        assert.deepStrictEqual(seen.calls, ["data"])
        assert.isTrue(socket.isPaused())
        transport.resume()
        yield* until("the second", () => seen.text === "early between")
        yield* Effect.sleep(30)
        assert.deepStrictEqual(seen.calls, ["data", "data"])
        assert.isTrue(socket.isPaused())
        seen.during = () => {}
        transport.resume()
        yield* until("the end", () => seen.ends === 1)
        assert.strictEqual(seen.size, 13 + (1 << 20))
        transport.destroy()
      }))
  })

  it.live("a reset that the socket has told before the start is told after it", () =>
    Effect.gen(function*() {
      const { peer, seen, socket, transport } = yield* pair()
      socket.resume()
      peer.reset()
      yield* until("the close", () => socket.closed)
      transport.start(seen)
      yield* until("the close", () => seen.closed.length === 1)
      assert.strictEqual(seen.closed[0]?.reason, "Reset")
    }))

  it.live("an end before the start is told after it, behind the early bytes", () =>
    Effect.gen(function*() {
      const { peer, seen, socket, transport } = yield* pair("early")
      socket.resume()
      peer.socket.end()
      yield* until("the end", () => socket.readableEnded)
      transport.start(seen)
      yield* until("the end", () => seen.ends === 1)
      assert.deepStrictEqual(seen.calls, ["data", "end"])
      assert.strictEqual(seen.text, "early")
      assert.isTrue(transport.write([Buffer.from("answer")]))
      yield* until("the answer", () => peer.text === "answer")
    }))

  it.live("a stream that does not tell its partial writes is given a large one in pieces, and its end behind them", () =>
    Effect.gen(function*() {
      const [near, far] = duplexPair()
      const seen = new Seen()
      const transport = make(near as never, undefined)
      transport.start(seen)
      const bytes = crypto.getRandomValues(new Uint8Array(60_000))
      const chunks = [bytes.subarray(0, 3), ...Array.from({ length: 8 }, () => bytes), bytes.subarray(5)]
      const all = Buffer.concat(chunks)
      assert.isFalse(transport.write(chunks))
      transport.end()
      const first = transport.pendingBytes!()
      assert.isAtLeast(first, all.length)
      yield* Effect.sleep(10)
      assert.strictEqual(seen.taken, 0)
      const got: Array<Buffer> = []
      let ended = false
      const pending = new Set<number>()
      far.on("data", (chunk: Buffer) => {
        got.push(chunk)
        pending.add(transport.pendingBytes!())
      })
      far.on("end", () => {
        ended = true
      })
      yield* until("the end", () => ended)
      assert.strictEqual(Buffer.compare(Buffer.concat(got), all), 0)
      assert.isAbove(pending.size, 5)
      assert.strictEqual(seen.taken, 1)
      assert.strictEqual(transport.pendingBytes!(), 0)
    }))

  it.live("a stream that is slow is given smaller pieces, and a fast one large ones again", () =>
    Effect.gen(function*() {
      const sizes: Array<number> = []
      let answer = (): void => {}
      const duplex = new Duplex({
        read: () => {},
        write: (chunk: Uint8Array, _, callback) => {
          sizes.push(chunk.length)
          answer = callback
        }
      })
      const seen = new Seen()
      const transport = DuplexTransport.make(duplex, undefined, documented)
      transport.start(seen)
      assert.isFalse(transport.write([new Uint8Array(200 * 1024)]))
      assert.strictEqual(transport.pendingBytes!(), 200 * 1024)
      yield* Effect.sleep(60)
      for (let i = 0; i < 3; i++) {
        const before = sizes.length
        answer()
        yield* until("the next piece", () => sizes.length > before)
      }
      assert.deepStrictEqual(sizes, [64, 16, 64, 56].map((size) => size * 1024))
      assert.strictEqual(transport.pendingBytes!(), 56 * 1024)
      assert.strictEqual(seen.taken, 0)
      answer()
      yield* until("taken", () => seen.taken === 1)
      transport.destroy()
    }))

  it.live("what a stream takes at once is written in one turn, however much it is", () =>
    Effect.gen(function*() {
      const sizes: Array<number> = []
      const duplex = new Duplex({
        read: () => {},
        write: (chunk: Uint8Array, _, callback) => {
          sizes.push(chunk.length)
          callback()
        },
        writev: (chunks, callback) => {
          sizes.push(chunks.reduce((size, { chunk }) => size + (chunk as Uint8Array).length, 0))
          callback()
        }
      })
      const seen = new Seen()
      const transport = DuplexTransport.make(duplex, undefined, documented)
      transport.start(seen)
      const chunks = [10, 100_000, 30_000].map((size) => new Uint8Array(size))
      assert.isTrue(transport.write(chunks))
      assert.isTrue(transport.write([new Uint8Array(5)]))
      yield* Effect.sleep(5)
      assert.deepStrictEqual(sizes, [65_536, 64_474, 5])
      assert.strictEqual(seen.taken, 0)
      transport.destroy()
    }))

  it.live("a late answer to a write that was taken at once does not take the next", () =>
    Effect.gen(function*() {
      const waiting: Array<() => void> = []
      const duplex = new Duplex({
        read: () => {},
        write: (chunk: Uint8Array, _, callback) => {
          if (chunk.length === 1) callback()
          else waiting.push(callback)
        }
      })
      const seen = new Seen()
      const transport = DuplexTransport.make(duplex, undefined, documented)
      transport.start(seen)
      assert.isTrue(transport.write([new Uint8Array(1)]))
      assert.isFalse(transport.write([new Uint8Array(2)]))
      yield* Effect.sleep(5)
      assert.strictEqual(seen.taken, 0)
      waiting[0]!()
      yield* until("taken", () => seen.taken === 1)
      transport.destroy()
    }))

  it.live("any duplex stream will do", () =>
    Effect.gen(function*() {
      const [near, far] = duplexPair()
      const seen = new Seen()
      const transport = make(near as never, undefined)
      transport.start(seen)
      const got: Array<Buffer> = []
      far.on("data", (chunk: Buffer) => got.push(chunk))
      far.write("hello")
      yield* until("hello", () => seen.text === "hello")
      transport.write([Buffer.from("a"), Buffer.from("b")])
      yield* until("ab", () => Buffer.concat(got).toString() === "ab")
      near.destroy(Object.assign(new Error("odd"), { code: "EODD" }))
      yield* until("the close", () => seen.closed.length === 1)
      assert.strictEqual(seen.closed[0]?.reason, "Unknown")
      assert.include(seen.closed[0]?.message ?? "", "odd")
    }))
})
