/** A server in memory whose answers a test writes down, for clients that come back. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type * as ReconnectingClient from "../../src/ReconnectingClient.ts"
import * as TestServer from "../../src/testing/TestServer.ts"
import type * as WebSocket from "../../src/WebSocket.ts"
import * as WebSocketServer from "../../src/WebSocketServer.ts"

export const url = "ws://a.example/"

type Answer = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  unknown,
  HttpServerRequest.HttpServerRequest
>

/** A server whose answers the test decides, attempt by attempt; the last answer is for all that follow. */
export const scripted = (...answers: ReadonlyArray<Answer>) => {
  const requests: Array<HttpServerRequest.HttpServerRequest> = []
  const route = HttpRouter.add(
    "GET",
    "/",
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      requests.push(request)
      return yield* answers[Math.min(requests.length, answers.length) - 1]
    })
  )
  const layer = HttpRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(TestServer.layer())
  )
  return { layer, requests }
}

export const accept = <E>(f: (ws: WebSocket.WebSocket) => Effect.Effect<unknown, E>): Answer => WebSocketServer.handle(f)
export const refuse = (status: number, headers: Record<string, string> = {}): Answer =>
  Effect.succeed(HttpServerResponse.text("no", { status, headers }))
export const hold = accept((ws) => Stream.runDrain(ws.messages))

/** Sees every status of the client. */
export const watch = <E>(client: ReconnectingClient.ReconnectingClient<E>) =>
  Effect.gen(function*() {
    const statuses = yield* Queue.unbounded<ReconnectingClient.Status<E>>()
    yield* Effect.forkScoped(Stream.runForEach(client.statuses, (status) => Queue.offer(statuses, status)), {
      startImmediately: true
    })
    const until = <Tag extends ReconnectingClient.Status["_tag"]>(tag: Tag) =>
      Effect.gen(function*() {
        while (true) {
          const status = yield* Queue.take(statuses)
          if (status._tag === tag) return status as Extract<ReconnectingClient.Status<E>, { _tag: Tag }>
        }
      })
    return { until, all: Queue.takeAll(statuses) }
  })


/** Lets time pass until something has happened. An answer that refuses takes turns that no clock counts. */
export const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(effect, Effect.forever(TestClock.adjust("50 millis")))

/** The links of all connections so far. */
export const links = Effect.flatMap(TestServer.TestServer, ({ links }) => links)
