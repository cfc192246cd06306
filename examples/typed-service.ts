/**
 * A typed service: both sides speak values of a Schema, and JSON goes over the wire.
 * Server and client run in this one program, as they would in two:
 * `node examples/typed-service.ts`.
 */
import { type WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer, NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"

// ---------------------------------------------------------------------------
// The protocol, shared by both sides
// ---------------------------------------------------------------------------

/** What a client asks. */
const Request = Schema.TaggedUnion({
  Add: { id: Schema.Int, a: Schema.Finite, b: Schema.Finite },
  Divide: { id: Schema.Int, a: Schema.Finite, b: Schema.Finite }
})
type Request = typeof Request.Type

/** What the server answers. `NotUnderstood` has no id, since none could be read. */
const Response = Schema.TaggedUnion({
  Result: { id: Schema.Int, value: Schema.Finite },
  Failed: { id: Schema.Int, reason: Schema.String },
  NotUnderstood: { reason: Schema.String }
})
type Response = typeof Response.Type

const RequestJson = Schema.fromJsonString(Request)
const ResponseJson = Schema.fromJsonString(Response)

const decodeRequest = Schema.decodeUnknownEffect(RequestJson)
const encodeRequest = Schema.encodeEffect(RequestJson)
const encodeResponse = Schema.encodeEffect(ResponseJson)
const decodeResponse = Schema.decodeUnknownEffect(ResponseJson)

// ---------------------------------------------------------------------------
// The server
// ---------------------------------------------------------------------------

class DivisionByZero extends Schema.TaggedError<DivisionByZero>()("DivisionByZero", { dividend: Schema.Finite }) {}

const calculate = Effect.fnUntraced(function*(request: Request) {
  if (request._tag === "Add") return request.a + request.b
  if (request.b === 0) return yield* new DivisionByZero({ dividend: request.a })
  return request.a / request.b
})

const answer = (message: unknown): Effect.Effect<Response> =>
  decodeRequest(message).pipe(
    Effect.flatMap((request) =>
      calculate(request).pipe(
        Effect.map((value): Response => ({ _tag: "Result", id: request.id, value })),
        Effect.catchTag("DivisionByZero", ({ dividend }) =>
          Effect.succeed<Response>({ _tag: "Failed", id: request.id, reason: `${dividend} divided by zero` }))
      )
    ),
    // A message that is no request is answered; it does not end the connection.
    Effect.catchTag("SchemaError", (error) =>
      Effect.succeed<Response>({ _tag: "NotUnderstood", reason: error.message }))
  )

const serve = (ws: WebSocket.WebSocket) =>
  ws.messages.pipe(
    Stream.mapEffect(answer),
    Stream.mapEffect((response) => encodeResponse(response)),
    Stream.run(ws.sink)
  )

const Server = HttpRouter.serve(
  // The subprotocol names the version of the service: a client of another one is told at once.
  HttpRouter.add("GET", "/calculator", WebSocketServer.handle(serve, { selectSubprotocol: ["calculator.v1"] })),
  { disableLogger: true, disableListenLog: true }
).pipe(
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

// ---------------------------------------------------------------------------
// The client
// ---------------------------------------------------------------------------

const client = Effect.fnUntraced(function*(url: string) {
  const ws = yield* WebSocketClient.connect(url, { subprotocols: ["calculator.v1"] })

  yield* Stream.fromIterable<Request>([
    { _tag: "Add", id: 1, a: 2, b: 3 },
    { _tag: "Divide", id: 2, a: 1, b: 4 },
    { _tag: "Divide", id: 3, a: 1, b: 0 }
  ]).pipe(
    Stream.mapEffect((request) => encodeRequest(request)),
    Stream.run(ws.sink)
  )
  // What a client of some other make might send.
  yield* ws.send(`{"_tag":"Multiply","id":4,"a":2,"b":3}`)

  yield* ws.messages.pipe(
    Stream.take(4),
    Stream.mapEffect((message) => decodeResponse(message)),
    Stream.runForEach((response) =>
      Console.log(Response.match(response, {
        Result: ({ id, value }) => `${id}: ${value}`,
        Failed: ({ id, reason }) => `${id}: failed, ${reason}`,
        NotUnderstood: ({ reason }) => `not understood: ${reason.split("\n", 1)[0]}`
      }))
    )
  )
}, Effect.scoped)

const program = HttpServer.addressFormattedWith((url) => client(`${url.replace("http", "ws")}/calculator`)).pipe(
  // Every way to fail that a signature lists can be caught by its tag.
  Effect.catchTag("HandshakeError", (error) => Console.error(`refused with ${error.status}: ${error.message}`)),
  Effect.catchTag("IOError", (error) => Console.error(`the connection broke: ${error.message}`)),
  Effect.catchTag(["ProtocolError", "ConnectionClosed"], (error) => Console.error(error.message))
)

program.pipe(
  Effect.provide([Server, NodeWebSocketClient.layer]),
  NodeRuntime.runMain
)
