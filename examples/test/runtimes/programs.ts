/** The other side of the promises for connections: what servers do on every runtime, one route each. */
import { type Capabilities, type CloseCode, Origin, WebSocket, WebSocketServer } from "@effect-ws/core"
import { Effect, Exit, Layer, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

/** What a server saw of one connection. Plain data, which another request may read. */
export interface Seen {
  readonly capabilities: Capabilities.Capabilities
  received: number
  bytes: number
  inOrder: boolean
  sent: number
  last: string
  closed: CloseCode.CloseInfo | undefined
}

const connections = new Map<string, Seen>()

const queryOf = (request: HttpServerRequest.HttpServerRequest): URLSearchParams =>
  new URL(request.url, "http://localhost").searchParams

type Program = (ws: WebSocket.WebSocket, seen: Seen, query: URLSearchParams) => Effect.Effect<unknown, unknown>

/** A route whose connections are remembered by the `id` of their query. */
const route = (path: HttpRouter.PathInput, program: Program, options: WebSocketServer.AcceptOptions = {}) =>
  HttpRouter.add(
    "GET",
    path,
    WebSocketServer.handle((ws) =>
      Effect.gen(function*() {
        const query = queryOf(yield* HttpServerRequest.HttpServerRequest)
        const seen: Seen = {
          capabilities: ws.capabilities,
          received: 0,
          bytes: 0,
          inOrder: true,
          sent: 0,
          last: "",
          closed: undefined
        }
        connections.set(query.get("id") ?? "", seen)
        yield* Effect.forkDetach(Effect.map(ws.closed, (info) => {
          seen.closed = info
        }))
        // However it ends: what its client is told is what counts.
        const exit = yield* Effect.exit(program(ws, seen, query))
        if (query.has("fails") && Exit.isFailure(exit)) return yield* Effect.fail("the handler failed")
      }), { origin: Origin.unsafeAllowAny, ...options })
  )

/** Counts what arrives; text is to be the numbers from 0. */
const count = (ws: WebSocket.WebSocket, seen: Seen) =>
  Stream.runForEach(ws.messages, (message) =>
    Effect.sync(() => {
      if (typeof message === "string") {
        seen.inOrder &&= message.startsWith(`${seen.received} `)
        seen.last = message.slice(0, 100)
      }
      seen.received++
      seen.bytes += message.length
    }))

/** Sends numbered messages of a size. */
const number = (ws: WebSocket.WebSocket, seen: Seen, query: URLSearchParams) =>
  Effect.gen(function*() {
    const rest = "x".repeat(Number(query.get("size") ?? 10))
    for (let i = 0; i < Number(query.get("count")); i++) {
      yield* ws.send(`${i} ${rest}`)
      seen.sent++
    }
  })

const close: Program = (ws, _, query) => {
  const code = query.get("code")
  return code === null ? ws.close() : ws.close(Number(code), query.get("reason") ?? "")
}

/** At once, or once the client has said something. */
const cut: Program = (ws, _, query) =>
  Effect.andThen(
    query.has("late") ? ws.receive : Effect.void,
    ws.closeAs({ code: 1006, reason: "", initiator: "local", clean: false })
  )

const report = HttpRouter.add(
  "GET",
  "/report",
  WebSocketServer.handle((ws) =>
    Effect.gen(function*() {
      const query = queryOf(yield* HttpServerRequest.HttpServerRequest)
      yield* ws.send(JSON.stringify(connections.get(query.get("of") ?? "") ?? null))
      // The client closes.
      yield* ws.drain
    }), { origin: Origin.unsafeAllowAny })
)

export const Programs = HttpRouter.serve(
  Layer.mergeAll(
    route("/echo", (ws) => WebSocket.relay(ws, ws)),
    route("/count", count),
    route("/number", number),
    // In the end it waits for its client.
    route("/flood", (ws, seen, query) => Effect.andThen(number(ws, seen, query), ws.drain)),
    route("/deaf", () => Effect.never, { maxUnread: 1024 * 1024 }),
    route("/close", close),
    route("/closes-too", (ws, seen, query) => Effect.andThen(ws.receive, close(ws, seen, query))),
    route("/cut", cut),
    route("/fails", () => Effect.fail("on purpose")),
    route("/small", count, { maxMessageSize: 1000 }),
    route("/subprotocol", count, { selectSubprotocol: ["b", "a"] }),
    HttpRouter.add("GET", "/refused", HttpServerResponse.text("not here", { status: 403 })),
    HttpRouter.add("GET", "/unanswered", Effect.as(Effect.sleep("5 seconds"), HttpServerResponse.empty())),
    report
  ),
  { disableLogger: true, disableListenLog: true }
)
