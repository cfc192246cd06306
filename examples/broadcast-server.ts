/**
 * A broadcast server: what one client sends goes to all of them, the sender included.
 *
 * Environment: PORT (default 9002; 0 picks a free one) and HOST (default 127.0.0.1).
 */
import { Message, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, PubSub, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"

const Broadcast = HttpRouter.use(Effect.fnUntraced(function*(router) {
  // Sliding: a client that reads too slowly misses the oldest messages, instead of holding
  // up all the others (a bounded PubSub) or filling the memory (an unbounded one). One that
  // takes nothing at all for 30 seconds is cut off by the library's stalled write deadline.
  const hub = yield* PubSub.sliding<Message.Prepared>(4096)
  yield* router.add(
    "GET",
    "/",
    WebSocketServer.handle(Effect.fnUntraced(function*(ws) {
      // Subscribed before the first message is read, so that a client hears its own.
      const subscription = yield* PubSub.subscribe(hub)
      // Prepared: a message is encoded once, however many there are to hear it.
      const incoming = Stream.runForEachArray(
        ws.messages,
        (messages) => PubSub.publishAll(hub, messages.map(Message.prepare))
      )
      const outgoing = Stream.run(Stream.fromSubscription(subscription), ws.sink)
      yield* Effect.raceFirst(incoming, outgoing)
      // 4096 messages may wait, so they had better be small.
    }), { maxMessageSize: 64 * 1024 })
  )
}))

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(9002))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  return NodeHttpServer.layer(createServer, { port, host })
}))

// The address that was bound, which with PORT=0 nobody knows before.
const Announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((url) => Console.log(`listening on ${url.replace("http", "ws")}`))
)

Announce.pipe(
  Layer.provideMerge(HttpRouter.serve(Broadcast, { disableLogger: true, disableListenLog: true })),
  Layer.provide(Server),
  Layer.launch,
  NodeRuntime.runMain
)
