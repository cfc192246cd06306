/** The promises of `Transport`, on real sockets: whatever road a transport takes, it keeps them. */
import { assert, it } from "@effect/vitest"
import type { Transport, WebSocketError } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { collect } from "../../../../soak/holdings.ts"
import { connectRaw, type RawPeer, until } from "./RawPeer.ts"

export class Seen implements Transport.TransportHandlers {
  chunks: Array<Uint8Array> = []
  ends = 0
  taken = 0
  closed: Array<WebSocketError.IOError | undefined> = []
  /** In the order in which they were called. */
  calls: Array<string> = []
  /** What the receiver of a chunk does at once. */
  during: () => void = () => {}

  readonly onData = (chunk: Uint8Array) => {
    // A chunk may be valid during the call only.
    this.chunks.push(Uint8Array.from(chunk))
    this.calls.push("data")
    this.during()
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

  get size(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1")
  }
}

export interface Made {
  readonly socket: Net.Socket
  readonly transport: Transport.Transport
  readonly seen: Seen
  readonly peer: RawPeer
}

export type Make = (socket: Net.Socket, early: Uint8Array | undefined) => Transport.Transport

/** Both ends of a connection, in one process. */
export interface Connected {
  readonly socket: Net.Socket
  readonly peer: RawPeer
}

/** How a pair is connected, and what that means for its promises. */
export interface Connection<E = never> {
  readonly connect: Effect.Effect<Connected, E, Scope.Scope>
  /** Whether a small write is taken before `write` has returned. */
  readonly takesAtOnce: boolean
}

/** Both ends of a TCP connection. */
export const sockets = Effect.gen(function*() {
  const accepted: Array<Net.Socket> = []
  const server = yield* Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
        accepted.push(socket)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        for (const socket of accepted) socket.destroy()
        server.close()
      })
  )
  const peer = yield* connectRaw((server.address() as Net.AddressInfo).port, { allowHalfOpen: true })
  yield* until("the connection", () => accepted.length === 1)
  return { peer, server, socket: accepted[0]! }
})

/** A connected pair: a transport that is not started, and its peer. */
export const pairOf = <E = Error>(make: Make, connect: Effect.Effect<Connected, E | Error, Scope.Scope> = sockets) => (early?: string) =>
  Effect.gen(function*() {
    const { peer, socket } = yield* connect
    const transport = yield* Effect.acquireRelease(
      Effect.sync(() => make(socket, early === undefined ? undefined : Buffer.from(early))),
      (transport) => Effect.sync(() => transport.destroy())
    )
    const made: Made = { socket, transport, peer, seen: new Seen() }
    return made
  })

// More than the system takes of a peer that does not read.
const tooMuch = 32 << 20

/** Registers a test for each promise. */
export const promises = (
  make: Make,
  { connect, takesAtOnce }: Connection<Error> = { connect: sockets, takesAtOnce: true }
): void => {
  const pair = pairOf(make, connect)
  // A write that was not taken at once is taken soon where it is small.
  const small = (transport: Transport.Transport, seen: Seen, ...chunks: ReadonlyArray<Uint8Array>) =>
    Effect.suspend(() => {
      const before = seen.taken
      const taken = transport.write(chunks)
      assert.strictEqual(taken, takesAtOnce)
      return taken ? Effect.void : until("taken", () => seen.taken > before)
    })

  it.live("early bytes come first, then what was sent before the start, then the rest", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair("one ")
      peer.write("two ")
      yield* Effect.sleep(20)
      transport.start(seen)
      peer.write("three")
      yield* until("the bytes", () => seen.text === "one two three")
    }))

  it.live("early bytes wait for resume like all others", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair("one ")
      transport.start(seen)
      transport.pause()
      peer.write("two")
      yield* Effect.sleep(20)
      assert.deepStrictEqual(seen.calls, [])
      transport.resume()
      yield* until("the bytes", () => seen.text === "one two")
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

  it.live("pause and resume may be called more often than once, and while a chunk is handed over", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair("one ")
      seen.during = () => {
        transport.pause()
        transport.resume()
      }
      transport.start(seen)
      transport.resume()
      yield* until("the early bytes", () => seen.text === "one ")
      peer.write("two ")
      yield* until("the bytes", () => seen.text === "one two ")
      transport.pause()
      transport.pause()
      transport.resume()
      transport.resume()
      peer.write("three")
      peer.socket.end()
      yield* until("the end", () => seen.ends === 1)
      transport.pause()
      transport.resume()
      yield* Effect.sleep(10)
      assert.strictEqual(seen.text, "one two three")
      assert.deepStrictEqual([seen.ends, seen.closed], [1, []])
    }))

  it.live("a pause while a chunk is handed over holds the next", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      seen.during = () => transport.pause()
      transport.start(seen)
      peer.write(new Uint8Array(1 << 20))
      yield* until("a chunk", () => seen.calls.length > 0)
      yield* Effect.sleep(20)
      assert.deepStrictEqual(seen.calls, ["data"])
      while (seen.size < 1 << 20) {
        const before = seen.calls.length
        transport.resume()
        yield* until("the next chunk", () => seen.calls.length > before)
        assert.strictEqual(seen.calls.length, before + 1)
      }
    }))

  it.live("a paused transport makes the peer wait", () =>
    Effect.gen(function*() {
      const { peer, seen, socket, transport } = yield* pair()
      transport.start(seen)
      transport.pause()
      peer.write(new Uint8Array(tooMuch))
      yield* Effect.sleep(100)
      assert.isBelow(socket.readableLength, 1 << 20)
      assert.isAbove(peer.socket.writableLength, 8 << 20)
      transport.resume()
      yield* until("all", () => seen.size === tooMuch)
    }))

  it.live("a small write is taken, at once and without onTaken, or soon", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      const bytes = Buffer.from("abc")
      yield* small(transport, seen, bytes, Buffer.from("def"))
      // Reusable from then on.
      bytes.fill(0)
      yield* until("the bytes", () => peer.text === "abcdef")
      assert.strictEqual(seen.taken, takesAtOnce ? 0 : 1)
    }))

  it.live("what it cannot take: false, pendingBytes shrinks, and onTaken comes once, when all is taken", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.socket.pause()
      assert.isFalse(transport.write([new Uint8Array(10), new Uint8Array(tooMuch)]))
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
      yield* until("all", () => received === tooMuch + 10)
      yield* until("taken", () => seen.taken > 0)
      assert.strictEqual(seen.taken, 1)
      assert.strictEqual(transport.pendingBytes!(), 0)
      assert.isAbove(sizes.size, 3)
      yield* small(transport, seen, Buffer.from("x"))
      yield* Effect.sleep(5)
      assert.strictEqual(seen.taken, takesAtOnce ? 1 : 2)
    }))

  it.live("the buffers of a write that waits need be kept by nobody else", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.socket.pause()
      const chunks = Array.from({ length: 32 }, (_, i) => new Uint8Array(1 << 20).fill(i))
      assert.isFalse(transport.write(chunks.splice(0)))
      yield* Effect.promise(collect)
      // What was forgotten would be overwritten.
      const others = Array.from({ length: 32 }, () => new Uint8Array(1 << 20).fill(255))
      const received: Array<Buffer> = []
      peer.socket.removeAllListeners("data")
      peer.socket.on("data", (chunk: Buffer) => received.push(chunk))
      peer.socket.resume()
      yield* until("taken", () => seen.taken === 1)
      transport.end()
      yield* until("the end", () => peer.ended)
      const all = Buffer.concat(received)
      assert.strictEqual(all.length, tooMuch)
      for (const [i] of others.entries()) {
        assert.isTrue(all.subarray(i << 20, (i + 1) << 20).equals(Buffer.alloc(1 << 20, i)))
      }
    }))

  it.live("end sends the end behind what was written; both ends close without an error", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      transport.write([Buffer.from("last")])
      transport.end()
      transport.end()
      // Behind the end nothing can be written.
      assert.isTrue(transport.write([Buffer.from("too late")]))
      yield* peer.untilEnded
      assert.strictEqual(peer.text, "last")
      const taken = takesAtOnce ? [] : ["taken"]
      assert.deepStrictEqual(seen.calls, taken)
      peer.socket.end()
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.calls, [...taken, "end", "closed"])
      assert.deepStrictEqual(seen.closed, [undefined])
    }))

  it.live("behind the end it hands on what the peer still sends, until the peer ends", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      transport.end()
      yield* peer.untilEnded
      peer.write("still ")
      yield* until("bytes behind the end", () => seen.text === "still ")
      transport.pause()
      peer.write("here")
      transport.resume()
      yield* until("more of them", () => seen.text === "still here")
      assert.deepStrictEqual(seen.closed, [])
      peer.socket.end()
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.calls.filter((call) => call !== "data"), ["end", "closed"])
      assert.deepStrictEqual(seen.closed, [undefined])
    }))

  it.live("all that was written before the end arrives, although the peer goes on sending", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.socket.pause()
      const bytes = new Uint8Array(tooMuch)
      for (let i = 0; i < bytes.length; i += 1000) bytes[i] = i / 1000
      assert.isFalse(transport.write([bytes]))
      transport.end()
      for (let i = 0; i < 8; i++) peer.write(new Uint8Array(1 << 20))
      yield* until("the peer's bytes", () => seen.size === 8 << 20)
      const received: Array<Buffer> = []
      peer.socket.removeAllListeners("data")
      peer.socket.on("data", (chunk: Buffer) => {
        received.push(chunk)
        if (received.length % 16 === 0) peer.write("more")
      })
      peer.socket.resume()
      yield* until("the end", () => peer.ended || peer.closed)
      assert.isUndefined(peer.error)
      assert.isTrue(Buffer.concat(received).equals(bytes))
      peer.socket.end()
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.closed, [undefined])
    }))

  it.live("end behind a write that waits sends the end when all was taken, and the peer's end is no hurry", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.socket.pause()
      assert.isFalse(transport.write([new Uint8Array(tooMuch)]))
      transport.end()
      peer.socket.end()
      yield* until("the peer's end", () => seen.ends === 1)
      yield* Effect.sleep(10)
      assert.deepStrictEqual(seen.calls, ["end"])
      let received = 0
      peer.socket.removeAllListeners("data")
      peer.socket.on("data", (chunk) => {
        received += chunk.length
      })
      peer.socket.resume()
      yield* until("the end", () => peer.ended)
      assert.strictEqual(received, tooMuch)
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.calls, ["end", "taken", "closed"])
      assert.deepStrictEqual(seen.closed, [undefined])
    }))

  it.live("behind the peer's end it still writes", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.socket.end()
      yield* until("the end", () => seen.ends === 1)
      yield* small(transport, seen, Buffer.from("answer"))
      yield* until("the answer", () => peer.text === "answer")
      assert.deepStrictEqual(seen.calls, takesAtOnce ? ["end"] : ["end", "taken"])
    }))

  it.live("an end behind the peer's end closes, without an error", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.socket.end()
      yield* until("the end", () => seen.ends === 1)
      transport.end()
      yield* until("the close", () => seen.closed.length === 1)
      yield* peer.untilEnded
      assert.deepStrictEqual(seen.calls, ["end", "closed"])
      assert.deepStrictEqual(seen.closed, [undefined])
    }))

  it.live("an end before the start is told after it, behind the bytes", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair("early ")
      peer.write("late")
      peer.socket.end()
      yield* Effect.sleep(20)
      transport.start(seen)
      yield* until("the end", () => seen.ends === 1)
      assert.strictEqual(seen.text, "early late")
      assert.deepStrictEqual(seen.closed, [])
    }))

  it.live("an end before the start, and nothing else, is told after it", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      peer.socket.end()
      yield* Effect.sleep(20)
      transport.start(seen)
      yield* until("the end", () => seen.ends === 1)
      assert.deepStrictEqual(seen.calls, ["end"])
    }))

  it.live("what comes before the start waits at the peer once it is much", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      peer.write(new Uint8Array(tooMuch))
      yield* Effect.sleep(100)
      transport.start(seen)
      yield* until("all", () => seen.size === tooMuch)
      assert.isAtMost(seen.chunks[0]!.length, 1 << 20)
    }))

  it.live("destroy closes once, however often it is called, and writes behind it are dropped", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      transport.destroy()
      transport.destroy()
      assert.isTrue(transport.write([Buffer.from("nobody")]))
      transport.end()
      transport.pause()
      transport.resume()
      yield* until("the close", () => seen.closed.length === 1)
      yield* peer.untilEnded
      assert.deepStrictEqual(seen.calls, ["closed"])
      assert.deepStrictEqual(seen.closed, [undefined])
      assert.strictEqual(transport.pendingBytes!(), 0)
    }))

  it.live("destroy during a write that waits, or behind data and an end that were not read, says nothing more", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      transport.pause()
      peer.socket.pause()
      assert.isFalse(transport.write([new Uint8Array(tooMuch)]))
      peer.write("unread")
      peer.socket.end()
      yield* Effect.sleep(10)
      transport.destroy()
      yield* until("the close", () => seen.closed.length === 1)
      yield* Effect.sleep(10)
      assert.deepStrictEqual(seen.calls, ["closed"])
      assert.deepStrictEqual(seen.closed, [undefined])
    }))

  it.live("what was destroyed before its start says so behind it", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair("early")
      transport.destroy()
      yield* peer.untilEnded
      yield* Effect.sleep(5)
      transport.start(seen)
      yield* until("the close", () => seen.closed.length === 1)
      yield* Effect.sleep(5)
      assert.deepStrictEqual(seen.calls, ["closed"])
    }))

  it.live("a reset closes with an IOError: read, Reset", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.reset()
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.closed.map((error) => [error?.phase, error?.reason]), [["read", "Reset"]])
      assert.include(seen.closed[0]!.message, "read ECONNRESET")
    }))

  it.live("a reset that nobody reads is told by the write behind it at the latest, once", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      transport.pause()
      peer.reset()
      yield* Effect.sleep(20)
      for (let i = 0; i < 3 && seen.closed.length === 0; i++) {
        const before = seen.calls.length
        if (!transport.write([Buffer.from("anybody there?")])) {
          yield* until("an answer to the write", () => seen.calls.length > before)
        }
      }
      yield* until("the close", () => seen.closed.length === 1)
      yield* Effect.sleep(5)
      assert.deepStrictEqual(seen.calls.filter((call) => call !== "taken"), ["closed"])
      assert.strictEqual(seen.closed[0]?.reason, "Reset")
    }))

  it.live("a reset before the start is told after it", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      peer.reset()
      yield* Effect.sleep(20)
      transport.start(seen)
      yield* until("the close", () => seen.closed.length === 1)
      assert.strictEqual(seen.closed[0]?.reason, "Reset")
    }))

  it.live("a reset during a write that waits closes and never says taken", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      peer.socket.pause()
      assert.isFalse(transport.write([new Uint8Array(tooMuch)]))
      peer.reset()
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.calls, ["closed"])
      assert.strictEqual(seen.closed[0]?.reason, "Reset")
    }))

  it.live("a reset during a write that waits is told although nobody reads", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* pair()
      transport.start(seen)
      transport.pause()
      peer.socket.pause()
      assert.isFalse(transport.write([new Uint8Array(tooMuch)]))
      transport.end()
      peer.reset()
      yield* until("the close", () => seen.closed.length === 1)
      assert.deepStrictEqual(seen.calls, ["closed"])
      assert.strictEqual(seen.closed[0]?.reason, "Reset")
    }))

  it.live("to destroy the socket destroys the transport", () =>
    Effect.gen(function*() {
      const { peer, seen, socket, transport } = yield* pair()
      transport.start(seen)
      socket.destroy()
      yield* until("the close", () => seen.closed.length === 1)
      yield* peer.untilEnded
      assert.deepStrictEqual(seen.calls, ["closed"])
    }))
}
