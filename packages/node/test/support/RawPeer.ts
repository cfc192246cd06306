/**
 * A peer made of bytes: a TCP (or TLS) connection that sends whatever a test wants and
 * keeps what came back, so that it can misbehave as no WebSocket library lets it.
 */
import { assert } from "@effect/vitest"
import { Frame, FrameDecoder, type Opcode } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import * as Net from "node:net"

export const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="
export const sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

// Of a machine that has other things to do; nothing is the faster for less.
const patience = 15_000

/** Looks again and again until what is seen is as it should be; fails loudly if it never is. */
export const settles = <A>(
  what: string,
  look: Effect.Effect<A>,
  holds: (seen: A) => boolean,
  millis = patience
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const giveUp = Date.now() + millis
    const next: Effect.Effect<void> = Effect.flatMap(look, (seen) => {
      if (holds(seen)) return Effect.void
      if (Date.now() > giveUp) return Effect.die(new Error(`waited ${millis} ms in vain: ${what}; last ${String(seen)}`))
      return Effect.andThen(Effect.sleep(2), next)
    })
    return next
  })

/** Waits until something holds. */
export const until = (what: string, holds: () => boolean): Effect.Effect<void> =>
  settles(what, Effect.sync(holds), (seen) => seen)

/**
 * What has crossed the loopback interface has been read after this, however busy the machine is: a timer alone may go off
 * before a process that got no CPU for a while has looked at its sockets.
 */
export const loopTurns: Effect.Effect<void> = Effect.promise(async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
})

/** The bytes of a masked frame, as a client sends them. */
export const clientFrame = (opcode: Opcode.Opcode, data: Uint8Array | string, fin = true): Uint8Array =>
  Result.getOrThrow(Frame.encode({ ...Frame.make(opcode, data, { masked: true }), fin }))

/** The bytes of a frame, as a server sends them. */
export const serverFrame = (opcode: Opcode.Opcode, data: Uint8Array | string, fin = true): Uint8Array =>
  Result.getOrThrow(Frame.encode({ ...Frame.make(opcode, data, { masked: false }), fin }))

export const closeBody = (code: number): Uint8Array => Uint8Array.of(code >> 8, code & 255)

export interface Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** All header lines, repeated ones too. */
  readonly lines: ReadonlyArray<string>
}

const parseHead = (text: string): Head => {
  const [first = "", ...lines] = text.split("\r\n")
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(":")
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { status: Number(first.split(" ")[1]), headers, lines }
}

/** The head of a request that asks for a WebSocket; `undefined` leaves a header out. */
export const upgradeRequest = (
  path: string,
  overrides: Readonly<Record<string, string | undefined>> = {},
  first = `GET ${path} HTTP/1.1`
): string => {
  const headers: Record<string, string | undefined> = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": sampleKey,
    "Sec-WebSocket-Version": "13",
    ...overrides
  }
  const lines = Object.entries(headers).filter(([, value]) => value !== undefined).map(([name, value]) =>
    `${name}: ${value}\r\n`
  )
  return `${first}\r\n${lines.join("")}\r\n`
}

export class RawPeer {
  readonly socket: Net.Socket
  bytes: Uint8Array = new Uint8Array(0)
  ended = false
  closed = false
  error: (Error & { readonly code?: string }) | undefined

  constructor(socket: Net.Socket) {
    this.socket = socket
    socket.on("data", (chunk: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, chunk])
    })
    socket.on("end", () => {
      this.ended = true
    })
    socket.on("error", (error) => {
      this.error = error
    })
    socket.on("close", () => {
      this.closed = true
    })
  }

  /** One write, so in all likelihood one TCP segment. */
  write(...parts: ReadonlyArray<Uint8Array | string>): void {
    this.socket.write(Buffer.concat(parts.map((part) => typeof part === "string" ? Buffer.from(part, "latin1") : part)))
  }

  private headEnd(): number {
    return Buffer.from(this.bytes).indexOf("\r\n\r\n")
  }

  get text(): string {
    return Buffer.from(this.bytes).toString("latin1")
  }

  /** The head of the answer, taken off what came. */
  readonly head: Effect.Effect<Head> = Effect.suspend(() =>
    Effect.map(until("the head of an answer", () => this.headEnd() >= 0 || this.closed), () => {
      const end = this.headEnd()
      assert.isAtLeast(end, 0, `closed without an answer: ${this.error?.message}`)
      const head = parseHead(this.text.slice(0, end))
      this.bytes = this.bytes.subarray(end + 4)
      return head
    })
  )

  /** The frames that came so far; what is no whole frame yet stays. */
  frames(): ReadonlyArray<Frame.Frame> {
    const decoder = FrameDecoder.make({ mask: "any", maxPayloadLength: 2 ** 30 })
    const { error, frames } = decoder.push(this.bytes)
    assert.isUndefined(error)
    return frames
  }

  readonly untilFrames = (count: number): Effect.Effect<ReadonlyArray<Frame.Frame>> =>
    Effect.map(until(`${count} frames`, () => this.frames().length >= count), () => this.frames())

  readonly untilEnded = Effect.suspend(() => until("the end", () => this.ended || this.closed))
  readonly untilClosed = Effect.suspend(() => until("the close", () => this.closed))

  /** Texts of the data frames that came. */
  texts(): ReadonlyArray<string> {
    return this.frames().filter((frame) => frame.opcode < 8).map((frame) => Buffer.from(frame.data).toString())
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }
}

/** Connects; the scope drops the connection. */
export const connectRaw = (port: number, options?: Partial<Net.TcpNetConnectOpts>): Effect.Effect<RawPeer, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<RawPeer, Error>((resume) => {
      const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true, ...options })
      const onError = (error: Error) => resume(Effect.fail(error))
      socket.once("error", onError)
      socket.once("connect", () => {
        socket.off("error", onError)
        resume(Effect.succeed(new RawPeer(socket)))
      })
    }),
    (peer) => Effect.sync(() => peer.socket.destroy())
  )

/** Connects and does the opening handshake. */
export const connectUpgraded = (
  port: number,
  path = "/",
  overrides: Readonly<Record<string, string | undefined>> = {},
  options?: Partial<Net.TcpNetConnectOpts>
): Effect.Effect<RawPeer, Error, Scope.Scope> =>
  Effect.gen(function*() {
    const peer = yield* connectRaw(port, options)
    peer.write(upgradeRequest(path, overrides))
    const head = yield* peer.head
    assert.strictEqual(head.status, 101)
    return peer
  })

/** A TCP server that hands each connection to the test. */
export const listenRaw = (
  onPeer: (peer: RawPeer) => void,
  server: Net.Server = Net.createServer({ allowHalfOpen: true })
): Effect.Effect<{ readonly port: number; readonly peers: Array<RawPeer> }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly peers: Array<RawPeer> }>((resume) => {
      const peers: Array<RawPeer> = []
      server.on("connection", (socket: Net.Socket) => {
        const peer = new RawPeer(socket)
        peers.push(peer)
        onPeer(peer)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed({ port: (address as Net.AddressInfo).port, peers }))
      })
    }),
    ({ peers }) =>
      Effect.sync(() => {
        for (const peer of peers) peer.socket.destroy()
        server.close()
      })
  )

const keyOf = (request: string): string => {
  const line = request.split("\r\n").find((one) => one.toLowerCase().startsWith("sec-websocket-key:")) ?? ":"
  return line.slice(line.indexOf(":") + 1).trim()
}

/** A server that answers every request with what the test says; `answer` is given the request's head and its Accept. */
export const answering = (
  answer: (request: string, accept: string, peer: RawPeer) => ReadonlyArray<Uint8Array | string>,
  server?: Net.Server
) =>
  listenRaw((peer) => {
    let done = false
    peer.socket.on("data", () => {
      if (done || !peer.text.includes("\r\n\r\n")) return
      done = true
      const request = peer.text.slice(0, peer.text.indexOf("\r\n\r\n"))
      peer.bytes = peer.bytes.subarray(request.length + 4)
      peer.write(...answer(request, acceptOf(keyOf(request)), peer))
    })
  }, server)

/** The head of a 101. */
export const switching = (accept: string, extra = ""): string =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${extra}\r\n`

const acceptOf = (key: string): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
