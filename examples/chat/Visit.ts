/** What a connection to the chat does in the room, as a route of any HTTP server. */
import { type WebSocket, WebSocketServer } from "@effect-ws/core"
import { Effect, Layer, Schedule, Stream } from "effect"
import { HttpRouter } from "effect/http"
import { decodeJoin, decodeSay, reasonOf } from "./Protocol.ts"
import { Room } from "./Room.ts"

/** What happens on one connection, from its first message to its end. */
const visit = Effect.fnUntraced(function*(room: Room["Service"], ws: WebSocket.WebSocket) {
  // Who connects and then says nothing holds a connection; not for long.
  const { name } = yield* ws.receive.pipe(Effect.flatMap(decodeJoin), Effect.timeout("10 seconds"))
  const seat = yield* room.join(name)

  const incoming = ws.messages.pipe(
    // Ten messages a second are plenty. Shaping pulls no faster, and what is not pulled is not
    // read from the network: a client that floods slows down itself and nobody else.
    Stream.throttle({ cost: (messages) => messages.length, units: 10, burst: 10, duration: "1 second" }),
    Stream.runForEach((message) =>
      decodeSay(message).pipe(
        Effect.flatMap(({ text }) => seat.say(text)),
        Effect.catchTag("SchemaError", (error) => seat.complain(reasonOf(error)))
      )
    )
  )
  const outgoing = Stream.run(seat.inbox, ws.sink)
  const pinging = ws.ping().pipe(
    Effect.flatMap(seat.measured),
    Effect.repeat(Schedule.spaced("2 seconds"))
  )

  // The visit lasts as long as the client talks to us; the other two go on beside.
  yield* Effect.raceFirst(incoming, Effect.all([outgoing, pinging], { concurrency: "unbounded", discard: true }))
}, (visit, _room, ws) =>
  visit.pipe(
    // Whoever cannot come in is told why: the page shows the reason.
    Effect.catchTags({
      SchemaError: () => ws.close(1008, "the first message must be a Join with a proper name"),
      TimeoutError: () => ws.close(1008, "nobody joined"),
      RoomFull: (error) => ws.close(1013, error.message)
    }),
    // Leaving the room belongs to the visit, and comes before the closing handshake.
    Effect.scoped
  ))

export const ChatRoute = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const room = yield* Room
  yield* router.add(
    "GET",
    "/chat",
    WebSocketServer.handle((ws) => visit(room, ws), {
      maxMessageSize: 16 * 1024,
      // Somebody whose network went away should not sit in the room for long.
      keepAlive: { interval: "5 seconds", timeout: "10 seconds" }
    })
  )
})).pipe(Layer.provide(Room.layer))
