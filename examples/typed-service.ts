/**
 * A typed service: both sides speak values of a contract, and JSON goes over the wire.
 * Server and client run in this one program, as they would in two:
 * `node examples/typed-service.ts`.
 */
import { Contract } from "@effect-ws/core"
import { NodeHttpServer, NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Result, Schema, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"

// ---------------------------------------------------------------------------
// The contract, imported by both sides
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

/** The name has the version: a client of another one is refused, and told what is spoken here. */
const Calculator = Contract.make("calculator.v1", { toServer: Request, toClient: Response })

// ---------------------------------------------------------------------------
// The server
// ---------------------------------------------------------------------------

class DivisionByZero extends Schema.TaggedError<DivisionByZero>()("DivisionByZero", { dividend: Schema.Finite }) {}

const calculate = Effect.fnUntraced(function*(request: Request) {
  if (request._tag === "Add") return request.a + request.b
  if (request.b === 0) return yield* new DivisionByZero({ dividend: request.a })
  return request.a / request.b
})

const answer = (request: Request): Effect.Effect<Response> =>
  calculate(request).pipe(
    Effect.map((value): Response => ({ _tag: "Result", id: request.id, value })),
    Effect.catchTag("DivisionByZero", ({ dividend }) =>
      Effect.succeed<Response>({ _tag: "Failed", id: request.id, reason: `${dividend} divided by zero` }))
  )

const serve = (connection: Contract.ServerConnection<typeof Calculator>) =>
  // A message that is no request is answered; it does not end the connection, as `messages` would.
  connection.results.pipe(
    Stream.mapEffect((request): Effect.Effect<Response> =>
      Result.isSuccess(request)
        ? answer(request.success)
        : Effect.succeed({ _tag: "NotUnderstood", reason: request.failure.detail })
    ),
    Stream.run(connection.sink)
  )

const Server = HttpRouter.serve(
  HttpRouter.add("GET", "/calculator", Contract.handle(Calculator, serve)),
  { disableLogger: true, disableListenLog: true }
).pipe(
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

// ---------------------------------------------------------------------------
// The client
// ---------------------------------------------------------------------------

const client = Effect.fnUntraced(function*(url: string) {
  const connection = yield* Contract.connect(Calculator, url)

  yield* connection.sendAll([
    { _tag: "Add", id: 1, a: 2, b: 3 },
    { _tag: "Divide", id: 2, a: 1, b: 4 },
    { _tag: "Divide", id: 3, a: 1, b: 0 }
  ])
  // What a client of some other make might send.
  yield* connection.ws.send(`{"_tag":"Multiply","id":4,"a":2,"b":3}`)

  yield* connection.messages.pipe(
    Stream.take(4),
    Stream.runForEach((response) =>
      Console.log(Response.match(response, {
        Result: ({ id, value }) => `${id}: ${value}`,
        Failed: ({ id, reason }) => `${id}: failed, ${reason}`,
        NotUnderstood: ({ reason }) => `not understood: ${reason}`
      }))
    )
  )
}, Effect.scoped)

const program = HttpServer.addressFormattedWith((url) => client(`${url.replace("http", "ws")}/calculator`)).pipe(
  // Every way to fail that a signature lists can be caught by its tag.
  Effect.catchTag("HandshakeError", (error) => Console.error(`refused with ${error.status}: ${error.message}`)),
  Effect.catchTag("ContractMismatch", (error) => Console.error(`another version: ${error.message}`)),
  Effect.catchTag("IOError", (error) => Console.error(`the connection broke: ${error.message}`)),
  Effect.catchTag(["ProtocolError", "ConnectionClosed", "InvalidMessage"], (error) => Console.error(error.message))
)

program.pipe(
  Effect.provide([Server, NodeWebSocketClient.layer]),
  NodeRuntime.runMain
)
