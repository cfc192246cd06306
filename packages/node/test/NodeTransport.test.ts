/** A Node stream as a transport: the promises of `Transport`, on real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { NodeTransport } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import { duplexPair } from "node:stream"
import { until } from "./support/RawPeer.ts"
import { pairOf, promises, Seen } from "./support/TransportPromises.ts"

const pair = pairOf(NodeTransport.fromDuplex)

describe("NodeTransport", () => {
  promises(NodeTransport.fromDuplex)

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
      const transport = NodeTransport.fromDuplex(near)
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

  it.live("any duplex stream will do", () =>
    Effect.gen(function*() {
      const [near, far] = duplexPair()
      const seen = new Seen()
      const transport = NodeTransport.fromDuplex(near)
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
