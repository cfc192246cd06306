/**
 * A chat: one page, one WebSocket route, one room. `npm start` runs it.
 *
 * Environment: PORT (default 8080; 0 picks one) and HOST (default 127.0.0.1).
 */
import { type WebSocket, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Schedule, Stream } from "effect"
import { HttpRouter, HttpServer, HttpStaticServer } from "effect/http"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
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

const ChatRoute = HttpRouter.use(Effect.fnUntraced(function*(router) {
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

// An ordinary HTTP route beside it, on the same port.
const Page = HttpStaticServer.layer({
  root: fileURLToPath(new URL("page", import.meta.url)),
  cacheControl: "no-cache"
})

const Announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => {
  const command = `npm run chat -- --name Ada --url ${url.replace("http", "ws")}/chat`
  return Console.log(`chat on ${url}\nfrom a second terminal: ${command}`)
}))

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(8080))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  return NodeHttpServer.layer(createServer, { port, host })
}))

Announce.pipe(
  Layer.provideMerge(
    HttpRouter.serve(Layer.mergeAll(ChatRoute, Page), { disableLogger: true, disableListenLog: true })
  ),
  Layer.provide(Server),
  Layer.launch,
  Effect.tapErrorTag("ServeError", ({ cause }) =>
    Console.error(`cannot listen there: ${cause} (PORT chooses another port)`)),
  NodeRuntime.runMain
)
