/** A page for `reconnecting-page.test.ts`: keeps a client to the server that its address names, and shows what it does. */
import { Contract, NativeWebSocketClient, ReconnectingClient } from "@effect-ws/core"
import { Effect, Schema, Stream } from "effect"

const query = new URLSearchParams(location.search)
const target = new URL("socket", location.href)
target.protocol = "ws:"

const Ticks = Contract.make("ticks.v1", {
  toServer: Schema.Struct({ token: Schema.String }),
  toClient: Schema.Struct({ n: Schema.Finite })
})

const show = (text: string) =>
  Effect.sync(() => {
    const line = document.createElement("li")
    line.textContent = text
    document.querySelector("ol")?.append(line)
  })

let tokens = 0

const program = Effect.gen(function*() {
  const ticks = yield* Contract.reconnecting(Ticks, target, {
    ...(query.has("silence") && { maxSilence: Number(query.get("silence")) }),
    onOpen: (connection) => connection.send({ token: String(++tokens) })
  })
  yield* Effect.forkScoped(
    Stream.runForEach(ticks.statuses, (status) => show(ReconnectingClient.describe(status)))
  )
  yield* Stream.runForEach(ticks.messages, ({ n }) => show(`tick ${n}`))
}).pipe(
  Effect.scoped,
  Effect.catch((error) => show(`gave up: ${error._tag}`)),
  Effect.provide(NativeWebSocketClient.layer)
)

Effect.runFork(program)
