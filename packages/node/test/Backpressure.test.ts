/** Peers that do not read, and consumers that are busy, on real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, type WebSocket, WebSocketServer } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import * as Https from "node:https"
import * as Tls from "node:tls"
import type { Connection } from "../../core/src/connection/Connection.ts"
import { clientFrame, connectUpgraded, RawPeer, settles, until, upgradeRequest } from "./support/RawPeer.ts"
import * as Resident from "./support/Resident.ts"
import { serve, type ServeOptions } from "./support/Serve.ts"

const MiB = 1 << 20
const bufferedOf = (ws: WebSocket.WebSocket): number => (ws as Connection).link.bufferedBytes

const serveSocket = Effect.fnUntraced(function*(
  f: (ws: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>,
  options?: WebSocketServer.AcceptOptions,
  serveOptions?: ServeOptions
) {
  return yield* serve(
    HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Effect.ignore(f(ws)), { closeTimeout: 100, ...options })),
    { shutdown: { grace: 100 }, ...serveOptions }
  )
})

describe("a peer that never reads", () => {
  for (
    const [what, message] of [
      ["small texts", "x".repeat(200)],
      ["binary that goes uncopied", new Uint8Array(100_000)]
    ] as const
  ) {
    it.live(`suspends a flood of ${what} and holds memory flat`, () =>
      Effect.gen(function*() {
        let sent = 0
        let most = 0
        const { port } = yield* serveSocket((ws) =>
          Effect.forever(Effect.tap(ws.send(message), () =>
            Effect.sync(() => {
              sent++
              most = Math.max(most, bufferedOf(ws))
            })))
        )
        const peer = yield* connectUpgraded(port)
        peer.socket.pause()
        let last = -1
        yield* settles("the flood stops", Effect.sync(() => [last, last = sent] as const).pipe(Effect.tap(() => Effect.sleep(100))), (
          [before, now]
        ) => now > 0 && before === now)
        const grewBelow = Resident.measure()
        yield* Effect.sleep(300)
        assert.strictEqual(sent, last, "it goes on")
        assert.isBelow(most, 64 * 1024 + message.length + 100)
        grewBelow(32 * MiB)
        // Once it reads, the flood continues.
        peer.socket.removeAllListeners("data")
        peer.socket.resume()
        yield* until("the flood goes on", () => sent > last)
      }))
  }

  it.live("an echo stops reading from it, so its own writes stop", () =>
    Effect.gen(function*() {
      let most = 0
      const { port } = yield* serveSocket((ws) =>
        Stream.run(Stream.tap(ws.messages, () =>
          Effect.sync(() => {
            most = Math.max(most, bufferedOf(ws))
          })), ws.sink))
      const peer = yield* connectUpgraded(port)
      peer.socket.pause()
      const frame = clientFrame(Opcode.Binary, new Uint8Array(4000))
      const grewBelow = Resident.measure()
      let written = 0
      for (let quiet = 0; quiet < 20;) {
        if (peer.socket.writableLength < MiB) {
          for (let i = 0; i < 50; i++) peer.socket.write(frame)
          written += 50 * frame.length
          quiet = 0
        } else {
          quiet++
        }
        assert.isBelow(written, 200 * MiB, "it swallows everything")
        yield* Effect.sleep(2)
      }
      assert.isBelow(most, 64 * 1024 + 8192)
      grewBelow(96 * MiB)
    }))

  for (
    const [what, serveOptions] of [
      ["TCP", {}],
      ["TLS", {
        evaluate: () => Https.createServer({
          cert: readFileSync(`${import.meta.dirname}/support/tls/server.pem`),
          key: readFileSync(`${import.meta.dirname}/support/tls/server.key`)
        })
      }]
    ] satisfies ReadonlyArray<readonly [string, ServeOptions]>
  ) {
    const connectOver = (port: number) =>
      what === "TCP" ? connectUpgraded(port) : Effect.gen(function*() {
        const peer = yield* Effect.acquireRelease(
          Effect.sync(() =>
            new RawPeer(Tls.connect({ host: "127.0.0.1", port, ca: readFileSync(`${import.meta.dirname}/support/tls/ca.pem`) }))
          ),
          ({ socket }) => Effect.sync(() => socket.destroy())
        )
        peer.write(upgradeRequest("/"))
        assert.strictEqual((yield* peer.head).status, 101)
        return peer
      })

    it.live(`over ${what} it is given up after stalledWriteTimeout`, () =>
      Effect.gen(function*() {
        let ended = ""
        const { port } = yield* serveSocket((ws) =>
          Effect.forever(ws.send(new Uint8Array(MiB))).pipe(
            Effect.tapError((error) =>
              Effect.sync(() => {
                ended = error._tag === "IOError" ? `${error.phase} ${error.reason}` : error._tag
              })
            )
          ), { stalledWriteTimeout: 300 }, serveOptions)
        const peer = yield* connectOver(port)
        peer.socket.pause()
        const began = Date.now()
        yield* until("the end", () => ended !== "")
        assert.strictEqual(ended, "write TimedOut")
        assert.isAtLeast(Date.now() - began, 295)
      }))

    it.live(`over ${what} one that reads slowly is not given up`, () =>
      Effect.gen(function*() {
        let ended = ""
        const { port } = yield* serveSocket((ws) =>
          ws.send(new Uint8Array(48 * MiB)).pipe(
            Effect.andThen(ws.flush),
            Effect.match({
              onSuccess: () => "sent",
              onFailure: (error) => error.message
            }),
            Effect.tap((end) =>
              Effect.sync(() => {
                ended = end
              })
            )
          ), { stalledWriteTimeout: 700 }, serveOptions)
        const peer = yield* connectOver(port)
        peer.socket.removeAllListeners("data")
        const began = Date.now()
        peer.socket.on("data", () => {
          peer.socket.pause()
          setTimeout(() => peer.socket.resume(), 1)
        })
        yield* until("the end", () => ended !== "")
        assert.strictEqual(ended, "sent")
        assert.isAbove(Date.now() - began, 700)
      }), 30_000)
  }
})

describe("a busy consumer", () => {
  it.live("pauses the socket, and is not declared gone meanwhile", () =>
    Effect.gen(function*() {
      let received = 0
      let end = ""
      const { port } = yield* serveSocket((ws) =>
        Effect.sleep(600).pipe(
          Effect.andThen(Stream.runForEach(ws.messages, () =>
            Effect.sync(() => {
              received++
            }))),
          Effect.match({
            onSuccess: () => {
              end = "ended"
            },
            onFailure: (error) => {
              end = error.message
            }
          })
        ), { keepAlive: { interval: 100, timeout: 100 } })
      const peer = yield* connectUpgraded(port)
      const count = 3000
      const frame = clientFrame(Opcode.Binary, new Uint8Array(10_000))
      for (let i = 0; i < count; i++) peer.socket.write(frame)
      yield* Effect.sleep(300)
      assert.isAbove(peer.socket.writableLength, MiB, "the server swallows everything")
      assert.strictEqual(end, "")
      yield* until("all", () => received === count || end !== "")
      assert.strictEqual(end, "")
      assert.strictEqual(received, count)
    }))
})
