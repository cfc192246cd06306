/** A Node stream as a transport: the promises of `Transport`, on real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { type Transport, type WebSocketError } from "@effect-ws/core"
import { NodeTransport } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { duplexPair } from "node:stream"
import { connectRaw, type RawPeer, until } from "./support/RawPeer.ts"

class Seen implements Transport.TransportHandlers {
  chunks: Array<Uint8Array> = []
  ends = 0
  taken = 0
  closed: Array<WebSocketError.IOError | undefined> = []
  /** In the order in which they were called. */
  calls: Array<string> = []

  readonly onData = (chunk: Uint8Array) => {
    this.chunks.push(chunk)
    this.calls.push("data")
  }
  readonly onEnd = () => {
    this.ends++
    this.calls.push("end")
  }
  readonly onTaken = () => {
    this.taken++
    this.calls.push("taken")
  }
  readonly onClosed = (error: WebSocketError.IOError | undefined) => {
    this.closed.push(error)
    this.calls.push("closed")
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1")
  }
}

interface Made {
  readonly socket: Net.Socket
  readonly transport: Transport.Transport
  readonly seen: Seen
  readonly peer: RawPeer
}

/** A connected pair: a transport that is not started, and its peer. */
const pair = (early?: string) =>
  Effect.gen(function*() {
    const sockets: Array<Net.Socket> = []
    const server = yield* Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
          sockets.push(socket)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          for (const socket of sockets) socket.destroy()
          server.close()
        })
    )
    const peer = yield* connectRaw((server.address() as Net.AddressInfo).port, { allowHalfOpen: true })
    yield* until("the connection", () => sockets.length === 1)
    const socket = sockets[0]!
    const transport = NodeTransport.fromDuplex(socket, early === undefined ? undefined : Buffer.from(early))
    const made: Made = { socket, transport, peer, seen: new Seen() }
    return made
  })

describe("NodeTransport", () => {
  it.live("early bytes come first, then what was sent before the start, then the rest", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair("one ")
      peer.write("two ")
      yield* Effect.sleep(20)
      transport.start(seen)
      peer.write("three")
      yield* until("the bytes", () => seen.text === "one two three")
    }))

  it.live("pause holds everything, the end included, until resume", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      transport.pause()
      peer.write("held")
      peer.socket.end()
      yield* Effect.sleep(30)
      assert.deepStrictEqual(seen.calls, [])
      transport.resume()
      yield* until("the end", () => seen.ends === 1)
      assert.deepStrictEqual(seen.calls, ["data", "end"])
    }))

  it.live("a paused transport makes the peer wait", () =>
    Effect.gen(function*() {
      const { peer, seen, socket, transport } = yield* pair()
      transport.start(seen)
      transport.pause()
      const flood = new Uint8Array(32 << 20)
      peer.write(flood)
      yield* Effect.sleep(100)
      assert.isBelow(socket.readableLength, 1 << 20)
      assert.isAbove(peer.socket.writableLength, 8 << 20)
      transport.resume()
      yield* until("all", () => seen.chunks.reduce((sum, chunk) => sum + chunk.length, 0) === flood.length)
    }))

  it.live("what the socket takes at once is taken: true, and no onTaken", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      const bytes = Buffer.from("abc")
      assert.isTrue(transport.write([bytes, Buffer.from("def")]))
      // Reusable at once.
      bytes.fill(0)
      yield* until("the bytes", () => peer.text === "abcdef")
      assert.strictEqual(seen.taken, 0)
    }))

  it.live("what it cannot take: false, pendingBytes shrinks, and onTaken comes once, when all is taken", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.socket.pause()
      const size = 32 << 20
      assert.isFalse(transport.write([new Uint8Array(10), new Uint8Array(size)]))
      const first = transport.pendingBytes!()
      assert.isAbove(first, 0)
      yield* Effect.sleep(20)
      assert.strictEqual(seen.taken, 0)
      const sizes = new Set<number>()
      let received = 0
      peer.socket.removeAllListeners("data")
      peer.socket.on("data", (chunk) => {
        received += chunk.length
        sizes.add(transport.pendingBytes!())
      })
      peer.socket.resume()
      yield* until("all", () => received === size + 10)
      yield* until("taken", () => seen.taken > 0)
      assert.strictEqual(seen.taken, 1)
      assert.strictEqual(transport.pendingBytes!(), 0)
      assert.isAbove(sizes.size, 3)
      assert.isTrue(transport.write([Buffer.from("x")]))
      yield* Effect.sleep(5)
      assert.strictEqual(seen.taken, 1)
    }))

  it.live("end sends the end behind what was written; both ends close without an error", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      transport.write([Buffer.from("last")])
      transport.end()
      yield* peer.untilEnded
      assert.strictEqual(peer.text, "last")
      assert.deepStrictEqual(seen.calls, [])
      peer.socket.end()
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.calls, ["end", "closed"])
      assert.deepStrictEqual(seen.closed, [undefined])
    }))

  it.live("destroy closes once, however often it is called, and writes behind it are dropped", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      transport.destroy()
      transport.destroy()
      assert.isTrue(transport.write([Buffer.from("nobody")]))
      transport.end()
      yield* until("the close", () => seen.closed.length === 1)
      yield* peer.untilEnded
      assert.deepStrictEqual(seen.calls, ["closed"])
      assert.deepStrictEqual(seen.closed, [undefined])
    }))

  it.live("a reset closes with an IOError: read, Reset", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.reset()
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.closed.map((error) => [error?.phase, error?.reason]), [["read", "Reset"]])
    }))

  it.live("a reset before the start is told after it", () =>
    Effect.gen(function*() {
      const { peer, seen, socket, transport } = yield* pair()
      socket.resume()
      peer.reset()
      yield* until("the close", () => socket.closed)
      transport.start(seen)
      yield* until("the close", () => seen.closed.length === 1)
      assert.strictEqual(seen.closed[0]?.reason, "Reset")
    }))

  it.live("a reset during a write that waits closes and never says taken", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.socket.pause()
      assert.isFalse(transport.write([new Uint8Array(32 << 20)]))
      peer.reset()
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.calls, ["closed"])
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
