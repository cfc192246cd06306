/** Programs as Effect's users have them, on our layers and on the stock ones, with the same expectations. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as DevToolsClient from "effect/devtools/DevToolsClient"
import * as DevToolsServer from "effect/devtools/DevToolsServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as GraphQL from "effect/graphql/GraphQL"
import * as GraphQLClient from "effect/graphql/GraphQLClient"
import * as GraphQLGroup from "effect/graphql/GraphQLGroup"
import * as GraphQLProtocol from "effect/graphql/GraphQLProtocol"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"
import { listen, ours, portOf, sets, stock } from "./support/Stock.ts"

type Set = typeof ours | typeof stock

/** Serves routes and gives the port. */
const serve = <E, R>({ NodeHttpServer }: Set, routes: Layer.Layer<never, E, R>) =>
  Effect.map(
    Layer.build(
      HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(() => createServer(), listen))
      )
    ),
    (context) => portOf(Context.get(context, HttpServer.HttpServer))
  )

const socketServer = ({ NodeSocketServer }: Set) =>
  Effect.map(
    Layer.build(NodeSocketServer.layerWebSocket(listen)),
    (context) => Context.get(context, SocketServer.SocketServer)
  )

const each = (what: string, program: (server: Set, client: Set) => Effect.Effect<void, unknown, Scope.Scope>) => {
  for (const [serverName, server] of Object.entries(sets)) {
    for (const [clientName, client] of Object.entries(sets)) {
      it.live(`${what}: server ${serverName}, client ${clientName}`, () => program(server, client))
    }
  }
}

describe("names", () => {
  for (const module of ["NodeClusterHttp", "NodeHttpServer", "NodeSocket", "NodeSocketServer"] as const) {
    it(`${module} has every name that the stock module has`, () => {
      assert.includeMembers(Object.keys(ours[module]), Object.keys(stock[module]))
    })
  }
})

describe("DevTools", () => {
  each("spans of a program arrive", (server, client) =>
    Effect.gen(function*() {
      const sockets = yield* socketServer(server)
      const names = yield* Queue.unbounded<string>()
      yield* DevToolsServer.run(({ queue }) =>
        Effect.forever(Effect.flatMap(Queue.take(queue), (request) =>
          request._tag === "Span" ? Queue.offer(names, `${request.name} ${request.status._tag}`) : Effect.void))
      ).pipe(Effect.provideService(SocketServer.SocketServer, sockets), Effect.forkScoped)
      const tracer = DevToolsClient.layerTracer.pipe(
        Layer.provide(client.NodeSocket.layerWebSocket(`ws://127.0.0.1:${portOf(sockets)}`))
      )
      yield* Effect.provide(
        Effect.gen(function*() {
          yield* Effect.withSpan(Effect.void, "work")
          assert.strictEqual(yield* Queue.take(names), "work Started")
          assert.strictEqual(yield* Queue.take(names), "work Ended")
        }),
        tracer
      )
    }))
})

const IssueUpdated = GraphQL.subscription("IssueUpdated", {
  document: "subscription IssueUpdated($id: ID!) { issue(id: $id) }",
  variables: { id: Schema.String },
  result: Schema.Struct({ issue: Schema.String })
})

/** As much of graphql-transport-ws as one subscription needs. */
const graphql = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  if (request.headers["authorization"] !== "Bearer me") return HttpServerResponse.empty({ status: 401 })
  const socket = yield* request.upgrade
  const pull = yield* Socket.readerString(socket)
  const { write } = yield* socket.writer
  return yield* Effect.forever(Effect.flatMap(pull, (texts) =>
    Effect.forEach(texts, (text) =>
      Effect.gen(function*() {
        const { id, payload, type } = JSON.parse(text)
        if (type === "connection_init") yield* write(JSON.stringify({ type: "connection_ack" }))
        if (type !== "subscribe") return
        for (const n of [1, 2, 3]) {
          const data = { issue: `${payload.variables.id}-${n}` }
          yield* write(JSON.stringify({ id, type: "next", payload: { data } }))
        }
        yield* write(JSON.stringify({ id, type: "complete" }))
      }))))
}).pipe(
  Effect.scoped,
  Effect.catchTag("SocketError", () => Effect.succeed(HttpServerResponse.empty()))
)

describe("GraphQL", () => {
  each("a subscription with headers and a subprotocol", (server, client) =>
    Effect.gen(function*() {
      const port = yield* serve(server, HttpRouter.add("GET", "/graphql", graphql))
      const protocol = yield* Layer.build(
        GraphQLProtocol.layerWebSocket({
          url: `ws://127.0.0.1:${port}/graphql`,
          headers: { authorization: "Bearer me" }
        }).pipe(Layer.provide(client.NodeSocket.layerWebSocketConstructor))
      )
      const issues = yield* GraphQLClient.make(GraphQLGroup.make(IssueUpdated)).pipe(Effect.provide(protocol))
      const got = yield* Stream.runCollect(issues.IssueUpdated({ id: "I" }))
      assert.deepStrictEqual(got, [{ issue: "I-1" }, { issue: "I-2" }, { issue: "I-3" }])
    }))
})

const socketTo = ({ NodeSocket }: Set, url: string) =>
  Effect.map(Layer.build(NodeSocket.layerWebSocket(url)), (context) => Context.get(context, Socket.Socket))

/** Reads until the end and tells how it came. */
const readAll = Effect.fnUntraced(function*(socket: Socket.Socket) {
  const texts: Array<string> = []
  const pull = yield* Socket.readerString(socket)
  const error = yield* Effect.flip(Effect.forever(Effect.tap(pull, (batch) => Effect.sync(() => texts.push(...batch)))))
  return { texts, reason: error.reason }
}, Effect.scoped)

describe("upgrade", () => {
  each("request.upgrade: an echo that closes with a code of its own", (server, client) =>
    Effect.gen(function*() {
      const port = yield* serve(server, HttpRouter.add("GET", "/", Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        const socket = yield* request.upgrade
        const { write, writeAll } = yield* socket.writer
        const { pull } = yield* socket.reader
        yield* writeAll(yield* pull)
        yield* write(new Socket.CloseEvent(4001, "enough"))
        return yield* Effect.forever(pull)
      }).pipe(
        Effect.scoped,
        Effect.catchTag("SocketError", () => Effect.succeed(HttpServerResponse.empty()))
      )))
      const socket = yield* socketTo(client, `ws://127.0.0.1:${port}/`)
      const reading = yield* Effect.forkChild(readAll(socket))
      const { write } = yield* socket.writer
      yield* write("hello")
      const { reason, texts } = yield* Fiber.join(reading)
      assert.deepStrictEqual(texts, ["hello"])
      assert.deepInclude(reason, { _tag: "SocketCloseError", code: 4001, closeReason: "enough" })
    }))

  each("the end of the handler closes the connection with 1000", (server, client) =>
    Effect.gen(function*() {
      const port = yield* serve(server, HttpRouter.add("GET", "/", Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        const socket = yield* request.upgrade
        yield* Effect.asVoid(socket.reader)
        const { write } = yield* socket.writer
        yield* write("bye")
        return HttpServerResponse.empty()
      }).pipe(Effect.scoped)))
      const { reason, texts } = yield* readAll(yield* socketTo(client, `ws://127.0.0.1:${port}/`))
      assert.deepStrictEqual(texts, ["bye"])
      assert.deepInclude(reason, { _tag: "SocketCloseError", code: 1000 })
    }))

  each("upgradeChannel", (server, client) =>
    Effect.gen(function*() {
      const got = yield* Deferred.make<string>()
      const port = yield* serve(server, HttpRouter.add("GET", "/", Effect.gen(function*() {
        yield* Stream.make("from", "the server").pipe(
          Stream.encodeText,
          Stream.pipeThroughChannel(HttpServerRequest.upgradeChannel()),
          Stream.decodeText(),
          Stream.take(1),
          Stream.runForEach((text) => Deferred.succeed(got, text)),
          Effect.ignore
        )
        return HttpServerResponse.empty()
      })))
      const socket = yield* socketTo(client, `ws://127.0.0.1:${port}/`)
      const reading = yield* Effect.forkChild(readAll(socket))
      const { write } = yield* socket.writer
      yield* write("from the client")
      assert.strictEqual(yield* Deferred.await(got), "from the client")
      const { texts } = yield* Fiber.join(reading)
      assert.strictEqual(texts.join(" "), "from the server")
    }))
})
