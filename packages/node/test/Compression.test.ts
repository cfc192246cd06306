/** permessage-deflate and extensions of one's own over real sockets, against peers that misbehave. */
import { assert, describe, it } from "@effect/vitest"
import {
  CompressionBudget,
  Extension,
  type MessageExtension,
  Opcode,
  type PerMessageDeflate,
  type WebSocket,
  WebSocketClient,
  WebSocketServer
} from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Zlib from "node:zlib"
import {
  answering,
  clientFrame,
  closeBody,
  connectRaw,
  connectUpgraded,
  serverFrame,
  settles,
  switching,
  until,
  upgradeRequest
} from "./support/RawPeer.ts"
import * as Resident from "./support/Resident.ts"
import { openSockets, serve } from "./support/Serve.ts"
import { inSmallHeap, lineOf } from "./support/SmallHeap.ts"

const KiB = 1024
const MiB = 1024 * KiB

const echo = (options: WebSocketServer.AcceptOptions, seen: Array<unknown> = []) =>
  HttpRouter.add(
    "GET",
    "/",
    WebSocketServer.handle((ws) =>
      Stream.run(ws.messages, ws.sink).pipe(
        Effect.tapError((error) => Effect.sync(() => seen.push(error))),
        Effect.andThen(ws.closed),
        Effect.tap((info) => Effect.sync(() => seen.push(info)))
      ), options)
  )

const connect = (port: number, options?: WebSocketClient.ConnectOptions) =>
  WebSocketClient.connect(`ws://127.0.0.1:${port}/`, options)

const echoes = Effect.fnUntraced(function*(ws: WebSocket.WebSocket) {
  const messages = ["", "small", "x".repeat(100 * KiB), new Uint8Array(300 * KiB).fill(7), Uint8Array.of(1)]
  const sending = yield* Effect.forkChild(ws.sendAll(messages))
  for (const message of messages) assert.deepStrictEqual(yield* ws.receive, message)
  return sending
})

/** As it travels: without the tail (RFC 7692 §7.2.1). */
const deflated = (bytes: Uint8Array): Uint8Array =>
  Zlib.deflateRawSync(bytes, { finishFlush: Zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4)

/** The same frame with RSV1. */
const marked = (frame: Uint8Array): Uint8Array => {
  frame[0]! |= 0x40
  return frame
}

const extensionHeader = "Sec-WebSocket-Extensions"
const parameters = (header: string | undefined) => header === undefined ? [] : Result.getOrThrow(Extension.parse([header]))

/** Turns every byte around; claims RSV2, and RSV1 for text. */
const turned = (made: Array<MessageExtension.Transform> = [], closed: Array<string> = []): MessageExtension.MessageExtension => {
  const open = (): MessageExtension.Transform => {
    const flip = (bytes: Uint8Array) => bytes.map((byte) => byte ^ 0xff)
    let pushed: Uint8Array | undefined
    const transform: MessageExtension.Transform = {
      name: "x-turned",
      rsv: 6,
      encoder: {
        sliceSize: 64 * KiB,
        begin: (message) => typeof message === "string" ? 4 : 2,
        push: (bytes) => flip(bytes)
      },
      decoder: {
        begin: () => {},
        push: (bytes) => {
          pushed = bytes
        },
        next: () => {
          const out = pushed && flip(pushed)
          pushed = undefined
          return out
        }
      },
      close: () => void closed.push("closed")
    }
    made.push(transform)
    return transform
  }
  return {
    name: "x-turned",
    offers: [[{ name: "all" }]],
    agree: ({ params }) => params.length === 0 ? Result.succeed({ open }) : Result.fail("it has no parameters"),
    answer: ({ params }) => params[0]?.name === "all" ? { params: [], open } : undefined
  }
}

const live = <A, E>(
  what: string,
  test: () => Effect.Effect<A, E, WebSocketClient.Connector | PerMessageDeflate.Codec | Scope.Scope>,
  timeout?: number
) => it.live(what, () => Effect.provide(test(), NodeWebSocketClient.layer), timeout)

describe("who compresses", () => {
  live("a server is asked to, a client offers", () =>
    Effect.gen(function*() {
      const off = yield* serve(echo({}))
      assert.isUndefined((yield* connect(off.port)).extension)
      const on = yield* serve(echo({ compression: true }))
      const ws = yield* connect(on.port)
      assert.strictEqual(ws.extension, "permessage-deflate")
      yield* echoes(ws)
      for (const compression of [false, { threshold: 0, level: 1 }] as const) {
        const ws = yield* connect(on.port, { compression })
        assert.strictEqual(ws.extension, compression === false ? undefined : "permessage-deflate")
        yield* echoes(ws)
      }
    }))

  /** Answers nothing but the handshake, Close included; the offers that came. */
  const offers = Effect.gen(function*() {
    const offered: Array<string | undefined> = []
    const { port } = yield* answering((request, accept) => {
      const line = request.split("\r\n").find((line) => line.toLowerCase().startsWith("sec-websocket-extensions:"))
      offered.push(line?.split(": ")[1])
      return [switching(accept)]
    })
    return { offered, port }
  })
  const closeTimeout = 20

  it.live("without a codec nothing is offered", () =>
    Effect.gen(function*() {
      const { offered, port } = yield* offers
      const ws = yield* connect(port, { closeTimeout, compression: true })
      assert.isUndefined(ws.extension)
      assert.deepStrictEqual(offered, [undefined])
    }).pipe(
      Effect.provide(
        WebSocketClient.layerHttpClient.pipe(Layer.provide(NodeHttpClient.layerUndiciOptions({ allowH2: false })))
      )
    ))

  live("what a client offers", () =>
    Effect.gen(function*() {
      const { offered, port } = yield* offers
      yield* connect(port, { closeTimeout })
      yield* connect(port, { closeTimeout, compression: false })
      yield* connect(port, { closeTimeout, extensions: [turned()], compression: { windowBits: { own: 10 } } })
      assert.deepStrictEqual(offered, [
        "permessage-deflate; client_max_window_bits",
        undefined,
        "x-turned; all, permessage-deflate; client_max_window_bits=10"
      ])
    }))

  live("an extension of one's own, before compression", () =>
    Effect.gen(function*() {
      const made: Array<MessageExtension.Transform> = []
      const closed: Array<string> = []
      const extensions = [turned(made, closed)]
      const { port } = yield* serve(echo({ extensions, compression: true }))
      const scope = yield* Scope.make()
      const ws = yield* Scope.provide(connect(port, { extensions }), scope)
      assert.strictEqual(ws.extension, "x-turned")
      yield* echoes(ws)
      yield* ws.sendTextStream(Stream.make("in ", "pieces"))
      assert.strictEqual(yield* ws.receive, "in pieces")
      yield* Scope.close(scope, Exit.void)
      yield* until("both are given back", () => closed.length === 2)
      assert.strictEqual(made.length, 2)
      // Only one side knows it: the other offer is taken.
      assert.strictEqual((yield* connect(port)).extension, "permessage-deflate")
      const plain = yield* serve(echo({ compression: true }))
      assert.strictEqual((yield* connect(plain.port, { extensions })).extension, "permessage-deflate")
    }))

  live("an extension that fails to open leaves no connection behind", () =>
    Effect.gen(function*() {
      const broken = {
        ...turned(),
        answer: () => ({
          params: [],
          open: () => {
            throw new Error("a bug")
          }
        })
      }
      const { node, port } = yield* serve(echo({ extensions: [broken] }))
      const ws = yield* connect(port, { extensions: [turned()] })
      assert.strictEqual((yield* ws.closed).code, 1006)
      yield* settles(
        "its socket is gone",
        openSockets(node),
        (count) => count === 0
      )
    }))
})

describe("an answer that a client must not take", () => {
  const cases: ReadonlyArray<readonly [answer: string, reason: string, options?: WebSocketClient.ConnectOptions]> = [
    ["permessage-deflate; server_max_window_bits=16", "ExtensionInvalid"],
    ["permessage-deflate; server_max_window_bits=08", "ExtensionInvalid"],
    ["permessage-deflate; client_max_window_bits", "ExtensionInvalid"],
    ["permessage-deflate; unknown", "ExtensionInvalid"],
    ["permessage-deflate; server_no_context_takeover; server_no_context_takeover", "ExtensionInvalid"],
    ["permessage-deflate", "ExtensionInvalid", { compression: { noContextTakeover: { peer: true } } }],
    ["permessage-deflate; server_max_window_bits=12", "ExtensionInvalid", { compression: { windowBits: { peer: 10 } } }],
    ["permessage-deflate", "ExtensionUnexpected", { compression: false }],
    ["permessage-bzip2", "ExtensionUnexpected"],
    ["x-turned; more", "ExtensionInvalid", { extensions: [turned()] }],
    ["x-turned, permessage-deflate", "ExtensionUnexpected", { extensions: [turned()] }],
    ["permessage-deflate, permessage-deflate", "ExtensionUnexpected"],
    ["permessage-deflate; =", "ExtensionsMalformed"]
  ]
  for (const [answer, reason, options] of cases) {
    live(`${answer}: ${reason}${options === undefined ? "" : ` ${JSON.stringify(options)}`}`, () =>
      Effect.gen(function*() {
        const { peers, port } = yield* answering((_, accept) => [
          switching(accept, `${extensionHeader}: ${answer}\r\n`),
          serverFrame(Opcode.Text, "early")
        ])
        const error = yield* Effect.flip(connect(port, options))
        assert.strictEqual(error._tag, "HandshakeError")
        if (error._tag === "HandshakeError") assert.strictEqual(error.reason, reason)
        yield* until("the connection is dropped", () => peers.every((peer) => peer.closed || peer.ended))
      }))
  }
})

describe("offers", () => {
  const declined = [
    "permessage-deflate; client_max_window_bits=08",
    "permessage-deflate; client_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits=",
    "permessage-deflate; client_max_window_bits=\"\"",
    "permessage-deflate; client_max_window_bits=1e1",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=8",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; unknown",
    "permessage-deflate; constructor",
    "x-webkit-deflate-frame",
    "Permessage-Deflate-2"
  ]
  live("that are invalid are declined, and the next one tried", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(echo({ compression: { threshold: 0 } }))
      for (const offer of declined) {
        for (const next of [undefined, "permessage-deflate; server_max_window_bits=10"]) {
          const peer = yield* connectRaw(port)
          peer.write(upgradeRequest("/", { [extensionHeader]: next === undefined ? offer : `${offer}, ${next}` }))
          const head = yield* peer.head
          // What is no header at all is refused; every value is declined.
          if (head.status !== 101) {
            assert.strictEqual(head.status, 400, offer)
            assert.match(offer, /=("")?$/)
            continue
          }
          assert.strictEqual(head.headers["sec-websocket-extensions"], next, offer)
          peer.write(clientFrame(Opcode.Text, "hello"))
          yield* until("an answer", () => peer.bytes.length > 6)
          assert.strictEqual(peer.bytes[0], next === undefined ? 0x81 : 0xc1)
          if (next === undefined) assert.deepStrictEqual(peer.texts(), ["hello"])
        }
      }
    }))

  live("what is answered: quoted values, both windows, both flags", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(echo({ compression: true }))
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["permessage-deflate", "permessage-deflate"],
        ["permessage-deflate; client_max_window_bits=\"10\"", "permessage-deflate; client_max_window_bits=10"],
        ["permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9"]
      ]
      for (const [offer, answer] of cases) {
        const peer = yield* connectRaw(port)
        peer.write(upgradeRequest("/", { [extensionHeader]: offer }))
        const { headers, status } = yield* peer.head
        assert.strictEqual(status, 101)
        assert.deepStrictEqual(parameters(headers["sec-websocket-extensions"]), parameters(answer))
      }
    }))
})

describe("what cannot be inflated", () => {
  const random = Uint8Array.from({ length: 100 }, (_, i) => (i * 7919) & 255)
  const whole = deflated(new Uint8Array(1000).map((_, i) => i % 7))
  const bad: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["a reserved block type", Uint8Array.of(0x06)],
    ["noise", random],
    ["a distance before the start", Uint8Array.of(0x4b, 0x02, 0x02)],
    ["a truncated block", whole.subarray(0, -3)],
    ["nothing", new Uint8Array(0)]
  ]
  for (const [what, payload] of bad) {
    live(`${what}, to a server`, () =>
      Effect.gen(function*() {
        const seen: Array<unknown> = []
        const { port } = yield* serve(echo({ compression: { threshold: 1e9 } }, seen))
        const peer = yield* connectUpgraded(port, "/", { [extensionHeader]: "permessage-deflate" })
        peer.write(clientFrame(Opcode.Text, "before"), marked(clientFrame(Opcode.Binary, payload)))
        const frames = yield* peer.untilFrames(2)
        assert.deepStrictEqual(frames.map(({ opcode }) => opcode), [Opcode.Text, Opcode.Close])
        assert.deepStrictEqual([...frames[1]!.data.subarray(0, 2)], [...closeBody(1007)])
        yield* peer.untilEnded
        assert.deepInclude(seen[0], { _tag: "ProtocolError", rule: "ExtensionData", code: 1007 })
      }))

    live(`${what}, to a client`, () =>
      Effect.gen(function*() {
        const { peers, port } = yield* answering((_, accept) => [
          switching(accept, `${extensionHeader}: permessage-deflate\r\n`),
          serverFrame(Opcode.Text, "before"),
          marked(serverFrame(Opcode.Binary, payload))
        ])
        const ws = yield* connect(port, { closeTimeout: 200 })
        assert.strictEqual(yield* ws.receive, "before")
        const error = yield* Effect.flip(ws.receive)
        assert.deepInclude(error, { _tag: "ProtocolError", rule: "ExtensionData", code: 1007 })
        yield* until("the Close", () => (peers[0]?.frames().length ?? 0) > 0)
        assert.deepStrictEqual([...peers[0]!.frames()[0]!.data.subarray(0, 2)], [...closeBody(1007)])
      }))
  }
})

describe("memory", () => {
  live("of 200 compressed connections is counted, bounded and given back", () =>
    Effect.gen(function*() {
      const budget = CompressionBudget.make({ bytes: 1024 * MiB })
      const Budget = Layer.succeed(CompressionBudget.CurrentBudget, budget)
      const { port } = yield* Effect.provide(serve(echo({ compression: { threshold: 0 } })), Budget)
      const scope = yield* Scope.make()
      const grewBelow = Resident.measure()
      const count = 200
      for (let i = 0; i < count; i++) {
        const ws = yield* connect(port, { compression: { threshold: 0 } }).pipe(Scope.provide(scope), Effect.provide(Budget))
        yield* ws.send(`hello ${i} ${"x".repeat(2000)}`)
        yield* ws.receive
      }
      // Both ends are here: two compressors and two decompressors a connection.
      assert.strictEqual(budget.contexts, 4 * count)
      assert.isAbove(budget.bytes / count, 2 * (268 + 44) * KiB * 0.9)
      grewBelow(budget.bytes * 1.5)
      yield* Scope.close(scope, Exit.void)
      yield* until("all is given back", () => budget.contexts === 0 && budget.bytes === 0)
    }), 30_000)

  live("above the budget connections go without takeover, then without compression", () =>
    Effect.gen(function*() {
      const budget = CompressionBudget.make({ contexts: 16 })
      const Budget = Layer.succeed(CompressionBudget.CurrentBudget, budget)
      const { port } = yield* Effect.provide(serve(echo({ compression: { threshold: 0 } })), Budget)
      const kinds: Array<string> = []
      for (let i = 0; i < 40; i++) {
        const peer = yield* connectRaw(port)
        peer.write(upgradeRequest("/", { [extensionHeader]: "permessage-deflate" }))
        const { headers } = yield* peer.head
        kinds.push(headers["sec-websocket-extensions"] ?? "none")
        peer.write(clientFrame(Opcode.Text, "hello"))
        yield* until("an answer", () => peer.bytes.length > 0)
      }
      assert.strictEqual(kinds[0], "permessage-deflate")
      assert.include(kinds, "permessage-deflate; client_no_context_takeover")
      assert.isAtMost(budget.contexts, 18)
    }))
})

interface Line {
  readonly port?: number
  readonly name?: string
  readonly bytes?: number
  readonly extension?: string
  readonly rule?: string
  readonly grewMiB?: number
  readonly longestMs?: number
  readonly seconds?: number
}

const run = (...args: ReadonlyArray<string>) => inSmallHeap<Line>("compressed.ts", args)

const boundMiB = 64

// Each segment stands alone, so the same one again and again makes a long message.
const segment = Zlib.deflateRawSync(new Uint8Array(16 * MiB), { level: 9, finishFlush: Zlib.constants.Z_SYNC_FLUSH })
const bomb = Buffer.concat(Array.from({ length: 64 }, () => segment)).subarray(0, -4)

// Four empty blocks with fixed codes: all input, no output.
const idle = new Uint8Array(MiB - 1).map((_, i) => [0x02, 0x08, 0x20, 0x80, 0x00][i % 5]!)

describe("in a process of its own", () => {
  it("the bomb is 1 GiB in less than 1 MiB", () => {
    assert.isBelow(bomb.length, MiB)
  })

  const check = (line: Line, rule: string) => {
    assert.strictEqual(line.rule, rule)
    assert.isBelow(line.grewMiB ?? Infinity, boundMiB, JSON.stringify(line))
    // CPU time, so that a busy machine does not count.
    assert.isBelow(line.longestMs ?? Infinity, 30, JSON.stringify(line))
  }

  for (const [what, payload, rule] of [["a bomb", bomb, "MessageTooBig"], ["empty blocks", idle, "ExtensionData"]] as const) {
    it.live(`${what} at a server`, () =>
      Effect.gen(function*() {
        const server = yield* run("server")
        const { port } = yield* lineOf(server, (line) => line.port !== undefined)
        const peer = yield* connectUpgraded(port!, "/whole", { [extensionHeader]: "permessage-deflate" })
        peer.write(marked(clientFrame(Opcode.Binary, payload)))
        check(yield* lineOf(server, (line) => line.name === "ended"), rule)
        yield* until("the Close", () => peer.frames().length > 0)
        assert.deepStrictEqual([...peer.frames()[0]!.data.subarray(0, 2)], [...closeBody(rule === "MessageTooBig" ? 1009 : 1007)])
      }), 60_000)

    it.live(`${what} at a client`, () =>
      Effect.gen(function*() {
        const { port } = yield* answering((_, accept, peer) => {
          // The handshake first, so that the frame does not come as early bytes.
          setTimeout(() => peer.socket.write(marked(serverFrame(Opcode.Binary, payload))), 200)
          return [switching(accept, `${extensionHeader}: permessage-deflate\r\n`)]
        })
        const client = yield* run("whole", `ws://127.0.0.1:${port}/`)
        check(yield* lineOf(client, (line) => line.name === "ended"), rule)
      }), 60_000)
  }

  const large = (line: Line) => {
    assert.deepInclude(line, { bytes: 2 ** 27, extension: "permessage-deflate" })
    // By documented interfaces a message is inflated as a whole.
    const bound = process.env["EFFECT_WS_PORTABLE"] === "1" ? 8 * boundMiB : boundMiB
    assert.isBelow(line.grewMiB ?? Infinity, bound, JSON.stringify(line))
  }

  for (const direction of ["give", "take"] as const) {
    it.live(`128 MiB in one compressed message, which a client ${direction}s`, () =>
      Effect.gen(function*() {
        const server = yield* run("server")
        const { port } = yield* lineOf(server, (line) => line.port !== undefined)
        const client = yield* run(direction, `ws://127.0.0.1:${port}/${direction === "give" ? "take" : "give"}`)
        large(yield* lineOf(server, (line) => line.name === (direction === "give" ? "took" : "gave")))
        large(yield* lineOf(client, (line) => line.name === (direction === "give" ? "gave" : "took")))
      }), 90_000)
  }
})
