/** Effect's own RPC client and server over a client that comes back: what becomes of calls. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as EffectSocket from "../src/EffectSocket.ts"
import * as TestServer from "../src/testing/TestServer.ts"
import { eventually, links } from "./support/Scripted.ts"

class Service extends RpcGroup.make(
  Rpc.make("Double", { payload: { n: Schema.Number }, success: Schema.Number }),
  Rpc.make("Wait", { payload: {}, success: Schema.Number }),
  Rpc.make("Count", { payload: {}, success: Schema.Number, stream: true })
) {}

/** A server that can go and come back, and a client. */
const setUp = Effect.gen(function*() {
  const interrupted = yield* Deferred.make<void>()
  const waiting = yield* Deferred.make<void>()
  const handlers = Service.toLayer({
    Double: ({ n }) => Effect.succeed(2 * n),
    Wait: () =>
      Effect.andThen(Deferred.succeed(waiting, undefined), Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
      ),
    Count: () => Stream.concat(Stream.make(1, 2), Stream.never)
  })
  const context = yield* Layer.build(TestServer.layer())
  const rpc = RpcServer.layer(Service).pipe(
    Layer.provide(handlers),
    Layer.provide(RpcServer.layerProtocolWebsocket({ path: "/rpc" })),
    Layer.provide(RpcSerialization.layerNdjson)
  )
  const serve = Layer.build(HttpRouter.serve(rpc, { disableLogger: true, disableListenLog: true })).pipe(
    Effect.provideContext(context)
  )
  const tokens: Array<number> = []
  const client = RpcClient.layerProtocolSocket({ retryPolicy: Schedule.spaced("100 millis") }).pipe(
    Layer.provide(EffectSocket.layerReconnectingSocket("ws://a.example/rpc", {
      headers: Effect.sync(() => ({ authorization: `Bearer ${tokens.push(tokens.length)}` }))
    })),
    Layer.provide(RpcSerialization.layerNdjson),
    Layer.build,
    Effect.provideContext(context)
  )
  return { client, context, interrupted, serve, tokens, waiting }
})

const connectedTo = (client: Effect.Effect<unknown, never, Scope.Scope>) =>
  Effect.flatMap(client, (context) =>
    RpcClient.make(Service).pipe(Effect.provideContext(context as never))) as Effect.Effect<
      RpcClient.FromGroup<typeof Service>,
      never,
      Scope.Scope
    >

describe("RPC over a client that comes back", () => {
  it.effect("calls before the first connection wait for it", () =>
    Effect.gen(function*() {
      const { client, serve } = yield* setUp
      const rpc = yield* connectedTo(client)
      const calling = yield* Effect.forkChild(rpc.Double({ n: 21 }), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* serve
      assert.strictEqual(yield* eventually(Fiber.join(calling)), 42)
    }))

  it.effect("calls under way fail when their connection is lost, here and on the server, and none is made twice", () =>
    Effect.gen(function*() {
      const { client, context, interrupted, serve, tokens, waiting } = yield* setUp
      yield* serve
      const rpc = yield* connectedTo(client)
      const unary = yield* Effect.forkChild(Effect.flip(rpc.Wait({})))
      const counted: Array<number> = []
      const both = Latch.makeUnsafe()
      const streaming = yield* Effect.forkChild(Effect.flip(
        Stream.runForEach(rpc.Count({}), (n) => Effect.suspend(() => counted.push(n) === 2 ? both.open : Effect.void))
      ))
      yield* eventually(Deferred.await(waiting))
      yield* eventually(both.await)
      yield* (yield* Effect.provideContext(links, context))[0].reset
      assert.deepInclude(yield* eventually(Fiber.join(unary)), { _tag: "RpcClientError" })
      assert.deepInclude(yield* eventually(Fiber.join(streaming)), { _tag: "RpcClientError" })
      assert.deepStrictEqual(counted, [1, 2])
      yield* eventually(Deferred.await(interrupted))
      // The next one goes over the next connection, which had a token of its own.
      assert.strictEqual(yield* eventually(Effect.retry(rpc.Double({ n: 1 }), Schedule.spaced("50 millis"))), 2)
      assert.deepStrictEqual(tokens, [0, 1])
      assert.lengthOf(yield* Effect.provideContext(links, context), 2)
    }))

  it.effect("calls while it is away fail at once with what the connection was lost by, and work again after it", () =>
    Effect.gen(function*() {
      const { client, serve } = yield* setUp
      const first = yield* Scope.make()
      yield* Scope.provide(serve, first)
      const rpc = yield* connectedTo(client)
      assert.strictEqual(yield* eventually(rpc.Double({ n: 1 })), 2)
      yield* Scope.close(first, Exit.void)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* Effect.flip(rpc.Double({ n: 2 })), { _tag: "RpcClientError" })
      yield* serve
      assert.strictEqual(yield* eventually(Effect.retry(rpc.Double({ n: 3 }), Schedule.spaced("50 millis"))), 6)
    }))

  it.effect("once trying again cannot help, every call fails with the reason, and nothing is dialled", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(
        HttpRouter.serve(HttpRouter.add("GET", "/other", Effect.never), { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(TestServer.layer())
        )
      )
      let dialled = 0
      const client = RpcClient.layerProtocolSocket({ retryPolicy: Schedule.spaced("100 millis") }).pipe(
        Layer.provide(EffectSocket.layerReconnectingSocket(Effect.sync(() => {
          dialled++
          return "ws://a.example/rpc"
        }))),
        Layer.provide(RpcSerialization.layerNdjson),
        Layer.build,
        Effect.provideContext(context)
      )
      const rpc = yield* connectedTo(client)
      yield* TestClock.adjust("1 minute")
      const error = yield* eventually(Effect.flip(rpc.Double({ n: 1 })))
      assert.include(JSON.stringify(error), "StatusNot101")
      assert.strictEqual(dialled, 1)
    }))
})
