/** The handle of a socket as a transport: the promises of `Transport`, and what becomes of the socket. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import type { Transport } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import { AsyncLocalStorage } from "node:async_hooks"
import { spawn } from "node:child_process"
import type * as Net from "node:net"
import { PassThrough } from "node:stream"
import { fileURLToPath } from "node:url"
import * as HandleTransport from "../../src/transport/HandleTransport.ts"
import * as SocketProbe from "../../src/undocumented/SocketProbe.ts"
import { until } from "../support/RawPeer.ts"
import { pairOf, promises, Seen, sockets } from "../support/TransportPromises.ts"

const take = (socket: Net.Socket, early?: Uint8Array): Transport.Transport => {
  const transport = HandleTransport.take(socket, early)
  if (transport === undefined) throw new Error("not taken over")
  return transport
}

const pair = pairOf(take)

const countOf = (server: Net.Server) =>
  Effect.callback<number>((resume) => {
    server.getConnections((_, count) => resume(Effect.succeed(count)))
  })

// Node takes a second to start, and many on a machine that has other things to do.
const patience = 120_000

interface Ran {
  readonly status: number | null
  readonly output: string
}

/** Runs a program of ours in a Node of its own. */
const run = (file: string, ...options: ReadonlyArray<string>) =>
  Effect.callback<Ran>((resume) => {
    const path = fileURLToPath(new URL(`../support/${file}`, import.meta.url))
    const env = { ...process.env, EFFECT_WS_PORTABLE: "" }
    const child = spawn(process.execPath, [...options, path], { env, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        output += chunk
      })
    }
    child.on("close", (status) => resume(Effect.succeed({ status, output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

// As one that HTTP has read a request from.
const takeReading = (socket: Net.Socket, early?: Uint8Array): Transport.Transport => {
  socket.read(0)
  assert.isTrue(Reflect.get(Reflect.get(socket, "_handle") as object, "reading"))
  return take(socket, early)
}

interface Shutdown {
  readonly oncomplete: (status: number) => void
}

/** A connection whose system answers to its end in another way. */
const shuttingDown = (shutdown: (request: Shutdown) => number) =>
  Effect.gen(function*() {
    const { peer, socket } = yield* sockets
    Reflect.set(Reflect.get(socket, "_handle") as object, "shutdown", shutdown)
    socket.on("close", () => {})
    const transport = yield* Effect.acquireRelease(
      Effect.sync(() => take(socket)),
      (transport) => Effect.sync(() => transport.destroy())
    )
    return { peer, seen: new Seen(), socket, transport }
  })

describe("HandleTransport", () => {
  // Also where the process was started with documented interfaces only.
  beforeAll(() => SocketProbe.run())

  promises(take)

  describe("of a socket that reads", () => {
    promises(takeReading)
  })

  it.live("counts what it reads from where its socket had read to", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* sockets
      peer.write("read by somebody else")
      yield* until("the bytes", () => socket.read() !== null)
      const transport = take(socket)
      const seen = new Seen()
      transport.start(seen)
      peer.write("ours")
      yield* until("ours", () => seen.text === "ours")
      transport.destroy()
    }))

  it.live("a timeout that its socket was given is over", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* sockets
      socket.setTimeout(20, () => socket.destroy())
      const transport = take(socket)
      const seen = new Seen()
      transport.start(seen)
      yield* Effect.sleep(60)
      peer.write("still there")
      yield* until("the bytes", () => seen.text === "still there")
      transport.destroy()
    }))

  it.live("two connections share the read buffer and do not mix", () =>
    Effect.gen(function*() {
      const made = [yield* pair(), yield* pair()]
      for (const [i, { peer, seen, transport }] of made.entries()) {
        transport.start(seen)
        peer.write("ab"[i]!.repeat(100_000))
      }
      for (const [i, { seen, transport }] of made.entries()) {
        assert.strictEqual(transport.chunks, "scratch")
        yield* until("the bytes", () => seen.size === 100_000)
        assert.strictEqual(seen.text, "ab"[i]!.repeat(100_000))
      }
    }))

  it.live("a server still counts the connection until it is gone, and is told when the last one is", () =>
    Effect.gen(function*() {
      for (const destroyFirst of [false, true]) {
        const { peer, server, socket } = yield* sockets
        const transport = take(socket)
        const seen = new Seen()
        transport.start(seen)
        assert.strictEqual(yield* countOf(server), 1)
        let closed = false
        const close = () =>
          server.close(() => {
            closed = true
          })
        if (!destroyFirst) close()
        yield* Effect.sleep(5)
        assert.isFalse(closed)
        transport.destroy()
        transport.destroy()
        socket.destroy()
        yield* until("the close", () => seen.closed.length === 1)
        assert.strictEqual(yield* countOf(server), 0)
        if (destroyFirst) close()
        yield* until("the server's end", () => closed)
        yield* peer.untilEnded
      }
    }))

  it.live("whoever waits for the socket's close is told", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* sockets
      let closed = 0
      socket.on("close", () => closed++)
      const transport = take(socket)
      const seen = new Seen()
      transport.start(seen)
      yield* Effect.sleep(5)
      assert.strictEqual(closed, 0)
      peer.reset()
      yield* until("the close", () => closed === 1 && seen.closed.length === 1)
      assert.isTrue(socket.destroyed)
    }))

  it.live("the socket remembers its peer's address", () =>
    Effect.gen(function*() {
      const { socket } = yield* sockets
      const transport = take(socket)
      assert.strictEqual(socket.remoteAddress, "127.0.0.1")
      transport.destroy()
    }))

  it.live("what calls back is in the context of the connection, not of whoever wrote or read last", () =>
    Effect.gen(function*() {
      const storage = new AsyncLocalStorage<string>()
      const { peer, seen, transport } = yield* pair()
      const contexts: Array<unknown> = []
      const note = () => contexts.push(storage.getStore())
      seen.during = note
      transport.start({ onData: seen.onData, onEnd: seen.onEnd, onTaken: note, onClosed: seen.onClosed })
      peer.socket.pause()
      storage.run("a writer's", () => assert.isFalse(transport.write([new Uint8Array(32 << 20)])))
      peer.write("read")
      yield* until("data", () => seen.size > 0)
      peer.socket.removeAllListeners("data")
      peer.socket.resume()
      yield* until("taken", () => contexts.length === 2)
      assert.deepStrictEqual(contexts, [undefined, "a writer's"])
    }))

  it.live("leaves alone what it cannot take over", () =>
    Effect.gen(function*() {
      assert.isUndefined(HandleTransport.take(new PassThrough(), undefined))
      const spoilers: ReadonlyArray<(socket: Net.Socket) => void> = [
        // Of a class of someone's own.
        (socket) => Object.setPrototypeOf(socket, Object.create(Object.getPrototypeOf(socket) as object) as object),
        // Its handle is none of a TCP or Unix socket.
        (socket) => Object.setPrototypeOf(Reflect.get(socket, "_handle") as object, Object.prototype),
        // Somebody reads.
        (socket) => socket.on("data", () => {}),
        (socket) => socket.on("readable", () => {}),
        // Its server is none of Node's.
        (socket) => Reflect.set(socket, "_server", { _connections: 1 })
      ]
      for (const spoil of spoilers) {
        const { socket } = yield* sockets
        const handle = Reflect.get(socket, "_handle") as object
        const prototype = Object.getPrototypeOf(handle) as object
        spoil(socket)
        assert.isUndefined(HandleTransport.take(socket, undefined))
        assert.strictEqual(Reflect.get(socket, "_handle"), handle)
        Object.setPrototypeOf(handle, prototype)
        socket.destroy()
      }
    }))

  it.live("a socket that has bytes of its own, was ended or is gone is left alone as well", () =>
    Effect.gen(function*() {
      const spoilers: ReadonlyArray<(socket: Net.Socket) => void> = [
        (socket) => socket.unshift("read before"),
        (socket) => socket.end(),
        (socket) => socket.destroy(),
        (socket) => socket.write(new Uint8Array(32 << 20))
      ]
      for (const spoil of spoilers) {
        const { peer, socket } = yield* sockets
        peer.socket.pause()
        spoil(socket)
        assert.isUndefined(HandleTransport.take(socket, undefined))
      }
    }))

  it.live("an end that cannot be sent, behind a write that waits and the peer's end, is told at once", () =>
    Effect.gen(function*() {
      const { peer, seen, socket, transport } = yield* shuttingDown(() => -107)
      transport.start(seen)
      peer.socket.pause()
      peer.socket.end()
      yield* until("the peer's end", () => seen.ends === 1)
      assert.isFalse(transport.write([new Uint8Array(32 << 20)]))
      transport.end()
      assert.deepStrictEqual(seen.calls, ["end", "closed"])
      assert.strictEqual(seen.closed[0]?.phase, "write")
      assert.include(seen.closed[0]?.message ?? "", "shutdown ENOTCONN")
      assert.isTrue(socket.destroyed)
    }))

  it.live("an end that fails behind a write is told", () =>
    Effect.gen(function*() {
      const { peer, seen, transport } = yield* shuttingDown((request) => {
        setImmediate(() => request.oncomplete(-107))
        return 0
      })
      transport.start(seen)
      peer.socket.pause()
      assert.isFalse(transport.write([new Uint8Array(32 << 20)]))
      transport.end()
      yield* until("the close", () => seen.closed.length === 1)
      assert.include(seen.closed[0]?.message ?? "", "shutdown ENOTCONN")
    }))

  it.live("what its receiver throws ends the process as any uncaught error does", () =>
    Effect.gen(function*() {
      const { output, status } = yield* run("throwing.ts")
      assert.strictEqual(status, 1, output)
      assert.match(output, /Error: thrown by a receiver\n/)
    }), patience)

  it.live("does the same under --permission", () =>
    Effect.gen(function*() {
      const more = Number(process.versions.node.split(".")[0]) >= 25 ? ["--allow-net"] : []
      const expected = JSON.stringify({ chunks: "scratch", echoed: "hello", clean: true })
      for (const options of [["--permission", "--allow-fs-read=*", ...more], []]) {
        const { output, status } = yield* run("permitted.ts", ...options)
        assert.strictEqual(status, 0, output)
        assert.strictEqual(output.match(/\{.*\}/)?.[0], expected, output)
      }
    }), patience)
})
