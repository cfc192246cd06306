/** Servers of topics in memory, and clients that speak the subprotocol message by message. */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Broker, Topics } from "@effect-ws/core/realtime"
import type * as Limits from "../../src/Limits.ts"
import type * as Messages from "../../src/realtime/wire/Messages.ts"
import * as TestServer from "../../src/testing/TestServer.ts"
import type * as WebSocket from "../../src/WebSocket.ts"
import * as WebSocketClient from "../../src/WebSocketClient.ts"

export type ToClient = Messages.ToClient
type Of<Type extends ToClient["type"]> = Extract<ToClient, { readonly type: Type }>

/** One client. */
export interface Peer {
  readonly ws: WebSocket.WebSocket
  /** Sends a message, or any text. */
  readonly say: (message: object | string) => Effect.Effect<void>
  readonly next: Effect.Effect<ToClient>
  /** The next message, which is of this type. */
  readonly expect: <Type extends ToClient["type"]>(type: Type) => Effect.Effect<Of<Type>>
  /** What has arrived by now, after other fibers had their turns. */
  readonly arrived: Effect.Effect<ReadonlyArray<ToClient>>
}

const peerOf = (ws: WebSocket.WebSocket): Peer => {
  const next = Effect.map(Effect.orDie(ws.receive), (text) => JSON.parse(String(text)) as ToClient)
  return {
    ws,
    say: (message) => Effect.orDie(ws.send(typeof message === "string" ? message : JSON.stringify(message))),
    next,
    expect: (type) =>
      Effect.map(next, (message) => {
        assert.strictEqual(message.type, type, JSON.stringify(message))
        return message as never
      }),
    arrived: Effect.gen(function*() {
      yield* settle
      const texts: Array<ToClient> = []
      const read = Effect.forever(Effect.map(next, (message) => texts.push(message)))
      let before: number
      do {
        before = texts.length
        yield* Effect.raceFirst(read, settle)
      } while (texts.length > before)
      return texts
    })
  }
}

/** Other fibers take their turns until nothing is left to do that does not wait for the clock. */
export const settle: Effect.Effect<void> = Effect.repeat(Effect.yieldNow, { times: 200 })

type Route = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  unknown,
  HttpServerRequest.HttpServerRequest | Topics.Topics
>

export interface Server {
  readonly context: Context.Context<TestServer.TestServer | Topics.Topics>
  /** Runs an effect of this server's program. */
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Topics.Topics>>
  readonly dial: (options?: WebSocketClient.ConnectOptions) => Effect.Effect<WebSocket.WebSocket, unknown, Scope.Scope>
  /** Connects a client, which has read its welcome. */
  readonly connect: Effect.Effect<Peer, never, Scope.Scope>
}

const subprotocol = "effect-ws.topics.v1+json"

export const serve = (
  broker: Broker.Broker["Service"],
  route: Route,
  options: { readonly limits?: Limits.TopicOptions; readonly test?: TestServer.Options } = {}
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function*() {
    const app = HttpRouter.serve(HttpRouter.add("GET", "/", route as never), { disableLogger: true, disableListenLog: true })
    const context = yield* Layer.build(app.pipe(
      Layer.provideMerge(TestServer.layer(options.test)),
      Layer.provideMerge(Topics.layer(options.limits)),
      Layer.provide(Layer.succeed(Broker.Broker, broker))
    )) as Effect.Effect<Context.Context<TestServer.TestServer | Topics.Topics | WebSocketClient.Connector>, never, Scope.Scope>
    const dial: Server["dial"] = (more) =>
      Effect.provideContext(
        WebSocketClient.connect("ws://a.example/", { subprotocols: [subprotocol], ...more }),
        context as Context.Context<unknown>
      ) as Effect.Effect<WebSocket.WebSocket, unknown, Scope.Scope>
    return {
      context,
      run: (effect) => Effect.provideService(effect, Topics.Topics, Context.get(context, Topics.Topics)),
      dial,
      connect: Effect.gen(function*() {
        const peer = peerOf(yield* Effect.orDie(dial()))
        yield* peer.expect("welcome")
        return peer
      })
    }
  })

/** One server on a store of its own. */
export const serveAlone = (route: Route, options?: Parameters<typeof serve>[2]) =>
  Effect.gen(function*() {
    const store = yield* Broker.makeMemoryStore
    const broker = yield* store.broker
    return { store, broker, server: yield* serve(broker, route, options) }
  })
