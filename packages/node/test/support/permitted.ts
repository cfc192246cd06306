/** A server and its client in one process, which tells what they saw: run with fewer permissions as well. */
import { WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer, NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Transports from "../../src/transport/Transports.ts"

/** How the chunks of this process's connections are handed over. */
const chunks = Effect.flatMap(Transports.current, (transports) =>
  Effect.callback<string>((resume) => {
    const server = Net.createServer({ pauseOnConnect: true }, (socket) => {
      const transport = transports.make(socket)
      transport.destroy()
      server.close()
      resume(Effect.succeed(transport.chunks))
    })
    server.listen(0, "127.0.0.1", () => Net.connect((server.address() as Net.AddressInfo).port, "127.0.0.1"))
  }))

const routes = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink)))

const program = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  const url = `ws://127.0.0.1:${"port" in address ? address.port : 0}`
  const ws = yield* WebSocketClient.connect(url)
  yield* ws.send("hello")
  const echoed = yield* ws.receive
  const { clean } = yield* ws.close(1000)
  process.stdout.write(`${JSON.stringify({ chunks: yield* chunks, echoed, clean })}\n`)
}).pipe(
  Effect.scoped,
  Effect.provide(
    HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(() => Http.createServer(), { host: "127.0.0.1", port: 0 })),
      Layer.provideMerge(NodeWebSocketClient.layer)
    )
  )
)

await Effect.runPromise(program)
