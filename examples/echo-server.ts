/**
 * An echo server: it returns text as text, binary as binary. With MODE=broadcast it sends what one
 * client sends to all clients.
 *
 * Environment:
 * - PORT: default 9001; 0 picks a free one
 * - HOST: default 127.0.0.1
 * - MAX_MESSAGE_SIZE: bytes; default the library's, 1 MiB
 * - COMPRESSION: true accepts permessage-deflate and compresses every reply; default false
 * - COMPRESSION_LEVEL: 1 (fastest) to 9 (smallest); default the library's
 * - MODE: broadcast sends to all; default, and anything else: echo
 * - TLS_CERT and TLS_KEY: PEM files of a certificate and its key; with them the server speaks wss
 * - HTTP2: true serves WebSockets over HTTP/2 as well (RFC 8441), beside HTTP/1.1 where there is TLS; without TLS clients must
 *   know that it speaks HTTP/2 alone
 */
// Modules one by one, not whole packages: a full garbage collection walks through everything that is loaded, and a
// server of large messages causes many of them.
import * as Limits from "@effect-ws/core/Limits"
import * as WebSocket from "@effect-ws/core/WebSocket"
import * as WebSocketServer from "@effect-ws/core/WebSocketServer"
import * as NodeHttpServer from "@effect-ws/node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import * as Http2 from "node:http2"
import { createServer as createSecureServer } from "node:https"
import * as Broadcast from "./Broadcast.ts"

const Echo = Layer.unwrap(Effect.gen(function*() {
  const maxMessageSize = yield* Config.Int("MAX_MESSAGE_SIZE").pipe(Config.withDefault(Limits.defaults.maxMessageSize))
  const compress = yield* Config.Boolean("COMPRESSION").pipe(Config.withDefault(false))
  const mode = yield* Config.String("MODE").pipe(Config.withDefault("echo"))
  const level = yield* Config.Literals([1, 2, 3, 4, 5, 6, 7, 8, 9], "COMPRESSION_LEVEL").pipe(
    Config.withDefault(undefined)
  )
  // A real server would not compress short messages; the threshold is for that.
  const compression = compress && { threshold: 0, level }
  return HttpRouter.add(
    "GET",
    "/",
    WebSocketServer.handle(mode === "broadcast" ? Broadcast.make() : echo, { maxMessageSize, compression })
  )
}))

// What arrives is sent back as fast as the peer takes it: a peer that does not read is not read from either.
const echo = (ws: WebSocket.WebSocket) => WebSocket.relay(ws, ws)

const certFile = Config.String("TLS_CERT").pipe(Config.withDefault(undefined))

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(9001))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  const cert = yield* certFile
  const http2 = yield* Config.Boolean("HTTP2").pipe(Config.withDefault(false))
  const settings = { enableConnectProtocol: true }
  if (cert === undefined) {
    return NodeHttpServer.layer(() => http2 ? Http2.createServer({ settings }) : createServer(), { port, host })
  }
  const credentials = { cert: readFileSync(cert), key: readFileSync(yield* Config.String("TLS_KEY")) }
  return NodeHttpServer.layer(
    () => http2 ? Http2.createSecureServer({ ...credentials, allowHTTP1: true, settings }) : createSecureServer(credentials),
    { port, host }
  )
}))

// The address that was bound; with PORT=0 the system chooses the port.
const Announce = Layer.effectDiscard(Effect.gen(function*() {
  const scheme = (yield* certFile) === undefined ? "ws" : "wss"
  yield* HttpServer.addressFormattedWith((url) => Console.log(`listening on ${url.replace("http", scheme)}`))
}))

Announce.pipe(
  Layer.provideMerge(HttpRouter.serve(Echo, { disableLogger: true, disableListenLog: true })),
  Layer.provide(Server),
  Layer.launch,
  // SIGTERM and SIGINT interrupt the program; the server then closes every connection with 1001.
  NodeRuntime.runMain
)
