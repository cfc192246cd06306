/**
 * A process that takes or gives compressed messages, and says how much its memory grew by
 * and how much CPU time one turn of its event loop took at most: `server`, or `take`,
 * `give` or `whole` with a URL. The lines it prints are JSON.
 */
import { type WebSocket, WebSocketClient } from "@effect-ws/core"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-ws/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { portOf } from "./Serve.ts"

const size = 2 ** 27
const piece = new Uint8Array(256 * 1024).fill(0x5a)

const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`)

// Of this thread: neither other processes nor V8's helpers count.
const cpuMillis = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

/** Resident memory above what it was, and the longest turn, at their highest while `effect` ran. */
const measured = <A extends object, E, R>(name: string, watchTurns: boolean, effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const before = process.memoryUsage.rss()
    let most = before
    let longest = 0
    let last = cpuMillis()
    let running = true
    const sample = () => {
      most = Math.max(most, process.memoryUsage.rss())
    }
    const timer = setInterval(sample, 10)
    const turn = () => {
      const now = cpuMillis()
      longest = Math.max(longest, now - last)
      last = now
      if (running) setImmediate(turn)
    }
    if (watchTurns) setImmediate(turn)
    const began = performance.now()
    return Effect.map(effect, (result) => {
      running = false
      clearInterval(timer)
      sample()
      const seconds = (performance.now() - began) / 1000
      say({ name, grewMiB: Math.round((most - before) / 2 ** 20), longestMs: Math.round(longest * 10) / 10, seconds, ...result })
      return result
    })
  })

const give = (ws: WebSocket.WebSocket) =>
  measured(
    "gave",
    false,
    ws.sendBinaryStream(Stream.map(Stream.range(1, size / piece.length), () => piece)).pipe(
      Effect.andThen(ws.flush),
      Effect.as({ bytes: size, extension: ws.extension })
    )
  )

const take = (ws: WebSocket.WebSocket) =>
  Effect.flatMap(ws.receiveStream, (message) => {
    if (message._tag !== "Binary") return Effect.die("not binary")
    const fold = Stream.runFold(message.fragments, () => 0, (sum, part) => sum + part.length)
    return measured("took", false, Effect.map(fold, (bytes) => ({ bytes, extension: ws.extension })))
  })

/** Reads whole messages until it ends, and tells how. */
const whole = (ws: WebSocket.WebSocket) =>
  measured(
    "ended",
    true,
    Effect.map(Effect.result(Stream.runDrain(ws.messages)), (result) => ({
      rule: Result.isFailure(result) && result.failure._tag === "ProtocolError" ? result.failure.rule : "none"
    }))
  )

const serve = Effect.gen(function*() {
  const context = yield* Layer.build(NodeWebSocketServer.layer(
    Effect.fnUntraced(function*(ws) {
      const { url } = yield* HttpServerRequest.HttpServerRequest
      if (url === "/give") yield* give(ws)
      else if (url === "/whole") yield* whole(ws)
      else yield* ws.send(String((yield* take(ws)).bytes))
      yield* ws.closed
    }),
    { host: "127.0.0.1", port: 0, keepAlive: false, compression: true }
  ))
  say({ port: portOf(Context.get(context, HttpServer.HttpServer)) })
  return yield* Effect.never
})

const [, , mode, url = ""] = process.argv
const dial = Effect.gen(function*() {
  const ws = yield* WebSocketClient.connect(url, { keepAlive: false })
  if (mode === "take") yield* take(ws)
  else if (mode === "whole") yield* whole(ws)
  else yield* Effect.andThen(give(ws), ws.receive)
})
const program = Effect.gen(function*() {
  if (mode === "server") return yield* serve
  return yield* dial
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(NodeWebSocketClient.layer)))
