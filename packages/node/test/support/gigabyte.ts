/**
 * A process that takes or gives one message of 1 GiB, and says how much its memory
 * grew by: `server`, `upload URL` or `download URL`. The last line it prints is JSON.
 */
import { WebSocketClient } from "@effect-ws/core"
import type { WebSocket } from "@effect-ws/core"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-ws/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { portOf } from "./Serve.ts"

const size = 2 ** 30
const piece = new Uint8Array(256 * 1024).fill(0x5a)

const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`)

/** Resident memory above what it was, at its highest while `effect` ran. */
const measured = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const before = process.memoryUsage().rss
    let most = before
    const sample = () => {
      most = Math.max(most, process.memoryUsage().rss)
    }
    const timer = setInterval(sample, 10)
    const began = performance.now()
    return Effect.map(effect, (bytes) => {
      clearInterval(timer)
      sample()
      const result = { name, bytes, grewMiB: Math.round((most - before) / 2 ** 20), seconds: (performance.now() - began) / 1000 }
      say(result)
      return result
    })
  })

const give = (ws: WebSocket.WebSocket) =>
  measured("gave", ws.sendBinaryStream(Stream.map(Stream.range(1, size / piece.length), () => piece)).pipe(
    Effect.andThen(ws.flush),
    Effect.as(size)
  ))

const take = (ws: WebSocket.WebSocket) =>
  Effect.flatMap(ws.receiveStream, (message) => {
    if (message._tag !== "Binary") return Effect.die("not binary")
    return measured("took", Stream.runFold(message.fragments, () => 0, (sum, part) => sum + part.length))
  })

const serve = Effect.gen(function*() {
  const context = yield* Layer.build(NodeWebSocketServer.layer(
    Effect.fnUntraced(function*(ws) {
      const { url } = yield* HttpServerRequest.HttpServerRequest
      if (url === "/down") {
        yield* give(ws)
      } else {
        const { bytes } = yield* take(ws)
        yield* ws.send(String(bytes))
      }
      yield* ws.closed
    }),
    { host: "127.0.0.1", port: 0, keepAlive: false }
  ))
  say({ port: portOf(Context.get(context, HttpServer.HttpServer)) })
  return yield* Effect.never
})

const connect = (url: string) => WebSocketClient.connect(url, { keepAlive: false })

const [, , mode, url = ""] = process.argv
const program = mode === "server"
  ? serve
  : mode === "upload"
  ? Effect.flatMap(connect(url), (ws) => Effect.andThen(give(ws), ws.receive))
  : Effect.flatMap(connect(url), take)

await Effect.runPromise(Effect.scoped(program as typeof serve).pipe(Effect.provide(NodeWebSocketClient.layer)))
