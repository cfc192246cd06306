/** The routes of a soak's server that guests come to: what each handler accepted, and how long it lived. */
import { type WebSocket, WebSocketServer } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { numbered } from "./guests/wire.ts"
import type { Accepted, HandlerEnd, HandlerKind, HandlerCounts, Received } from "./messages.ts"
import { pour } from "./pour.ts"

type Handler = (ws: WebSocket.WebSocket, query: URLSearchParams) => Effect.Effect<unknown, WebSocketServer.ConnectionError>

/** What a server's handlers did since it was last asked. */
export interface Seen {
  readonly accepted: ReadonlyArray<Accepted>
  readonly received: ReadonlyArray<Received>
  readonly ends: ReadonlyArray<HandlerEnd>
}

/** The routes, and what there is to tell of them. */
export const makeLives = (options: WebSocketServer.AcceptOptions) => {
  let accepted: Array<Accepted> = []
  let received: Array<Received> = []
  let ends: Array<HandlerEnd> = []
  const counts: Record<string, { started: number; ended: number }> = {}

  /** Counts a handler from its start to its end, whichever it is. */
  const counted = <E, R>(kind: string, key: string, handler: Effect.Effect<unknown, E, R>): Effect.Effect<unknown, E, R> =>
    Effect.suspend(() => {
      const count = counts[kind] ??= { started: 0, ended: 0 }
      count.started++
      return Effect.ensuring(
        handler,
        Effect.sync(() => {
          count.ended++
          if (key !== "") ends.push({ key, at: performance.timeOrigin + performance.now() })
        })
      )
    })

  const push: Handler = (ws) => {
    let seq = 0
    return Effect.forever(Effect.andThen(Effect.sleep("100 millis"), Effect.suspend(() => ws.send(numbered(seq++, 40).toString("latin1")))))
  }

  const kinds: Readonly<Record<HandlerKind, Handler>> = {
    never: () => Effect.never,
    push,
    drained: (ws, query) => Effect.raceFirst(push(ws, query), ws.drain),
    job: (ws) => Effect.andThen(ws.receive, Effect.sleep("1 hour")),
    echo: (ws) => Stream.run(ws.messages, ws.sink)
  }

  const poured: Handler = (ws, query) => {
    const plan = {
      key: query.get("key") ?? "",
      count: Number(query.get("count")),
      size: Number(query.get("size")),
      flush: query.get("flush") === "true",
      end: query.get("end") === "close" ? "close" : "scope"
    } as const
    return pour(ws, plan, (one) => accepted.push(one))
  }

  // A handler that takes its time for each message.
  const sipped: Handler = (ws, query) => {
    let count = 0
    let outOfPlace = 0
    const take = Stream.runForEach(ws.messages, (message) => {
      const seq = Number.parseInt(typeof message === "string" ? message.slice(0, 8) : String.fromCharCode(...message.subarray(0, 8)), 16)
      if (seq !== count) outOfPlace++
      count++
      return Effect.sleep(Math.max(1, Math.round(message.length / 512)))
    })
    return Effect.onExit(take, (exit) =>
      Effect.sync(() =>
        received.push({ key: query.get("key") ?? "", pace: "a handler of ours", received: count, outOfPlace, end: exit._tag === "Success" ? "end of stream" : "reset" })
      ))
  }

  const route = (path: `/${string}`, kind: string, handler: Handler) =>
    HttpRouter.add(
      "GET",
      path,
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const query = new URL(request.url, "http://localhost").searchParams
        return WebSocketServer.handle((ws) => counted(kind, query.get("key") ?? "", handler(ws, query)), options)
      })
    )

  return {
    counted,
    routes: () =>
      Layer.mergeAll(
        route("/life/pour", "pour", poured),
        route("/life/sip", "sip", sipped),
        route("/life/never", "never", kinds.never),
        route("/life/push", "push", kinds.push),
        route("/life/drained", "drained", kinds.drained),
        route("/life/job", "job", kinds.job),
        route("/life/echo", "echo", kinds.echo)
      ),
    counts: (): HandlerCounts => structuredClone(counts),
    take: (): Seen => {
      const seen = { accepted, received, ends }
      accepted = []
      received = []
      ends = []
      return seen
    }
  }
}
