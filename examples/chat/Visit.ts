/** What a connection to the chat does in the room, as a route of any HTTP server. */
import { Contract } from "@effect-ws/core"
import { Effect, Layer, Option, Result, Schedule, Schema, Stream } from "effect"
import { HttpRouter } from "effect/http"
import { Chat } from "./Protocol.ts"
import { Room } from "./Room.ts"

type Connection = Contract.ServerConnection<typeof Chat>

class NotJoined extends Schema.TaggedError<NotJoined>()("NotJoined", {}) {}

/** Who connects and then says nothing holds a connection; not for long. */
const nameOf = (connection: Connection) =>
  Stream.runHead(connection.results).pipe(
    Effect.timeout("10 seconds"),
    Effect.flatMap((first) =>
      Option.isSome(first) && Result.isSuccess(first.value) && first.value.success._tag === "Join"
        ? Effect.succeed(first.value.success.name)
        : Effect.fail(new NotJoined())
    )
  )

/** What happens on one connection, from its first message to its end. */
const visit = Effect.fnUntraced(function*(room: Room["Service"], connection: Connection) {
  const { ws } = connection
  const seat = yield* room.join(yield* nameOf(connection))

  // A message that breaks the contract is complained about, and the next one may be right.
  const incoming = connection.results.pipe(
    // Ten messages a second are plenty. Shaping pulls no faster, and what is not pulled is not
    // read from the network: a client that floods slows down itself and nobody else.
    Stream.throttle({ cost: (messages) => messages.length, units: 10, burst: 10, duration: "1 second" }),
    Stream.runForEach((message) => {
      if (Result.isFailure(message)) return seat.complain(message.failure.detail)
      return message.success._tag === "Say" ? seat.say(message.success.text) : seat.complain("you have joined already")
    })
  )
  const outgoing = Stream.run(seat.inbox, connection.sink)
  const pinging = ws.ping().pipe(
    Effect.flatMap(seat.measured),
    Effect.repeat(Schedule.spaced("2 seconds"))
  )

  // The visit lasts as long as the client talks to us; the other two go on beside.
  yield* Effect.raceFirst(incoming, Effect.all([outgoing, pinging], { concurrency: "unbounded", discard: true }))
}, (visit, _room, { ws }) =>
  visit.pipe(
    // The Close says why somebody cannot come in: the page shows the reason.
    Effect.catchTags({
      NotJoined: () => ws.close(1008, "the first message must be a Join with a proper name"),
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
    Contract.handle(Chat, (connection) => visit(room, connection), {
      // A script that speaks JSON need not know the name of the contract.
      requireSubprotocol: false,
      maxMessageSize: 16 * 1024,
      // Somebody whose network went away should not sit in the room for long.
      keepAlive: { interval: "5 seconds", timeout: "10 seconds" }
    })
  )
})).pipe(Layer.provide(Room.layer))
