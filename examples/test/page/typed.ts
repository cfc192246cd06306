/** The least that a page with a typed client needs: its size is measured. */
import { Contract, NativeWebSocketClient } from "@effect-ws/core"
import { Effect, Schema, Stream } from "effect"

const Feed = Contract.make("feed.v1", {
  toServer: Schema.String,
  toClient: Schema.Struct({ price: Schema.Number })
})

Effect.gen(function*() {
  const feed = yield* Contract.connect(Feed, "/feed")
  yield* feed.send("subscribe")
  yield* Stream.runForEach(feed.messages, ({ price }) => Effect.log(price))
}).pipe(Effect.scoped, Effect.provide(NativeWebSocketClient.layer), Effect.runFork)
