/**
 * The chat from a terminal: `npm run chat -- --name Ada`. Ctrl-C or Ctrl-D leaves.
 */
import { Contract } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, DateTime, Effect, Stream, Terminal } from "effect"
import { Command, Flag } from "effect/cli"
import { Chat, type FromServer, Name, type Said } from "./Protocol.ts"

const time = (at: DateTime.Utc) => DateTime.formatLocal(at, { timeStyle: "short" })

const showSaid = ({ at, name, text }: Said) =>
  // The lines of a longer text are indented, so that nobody can fake a line of somebody else.
  Console.log(`${time(at)} ${name}: ${text.replaceAll("\n", "\n      ")}`)

const show = (message: FromServer): Effect.Effect<void> => {
  switch (message._tag) {
    case "Welcome":
      return Effect.forEach(message.history, showSaid, { discard: true }).pipe(
        Effect.andThen(
          Console.log(`You are ${message.name}. Here now: ${message.people.map(({ name }) => name).join(", ")}`)
        )
      )
    case "Said":
      return showSaid(message)
    case "Joined":
      return Console.log(`${time(message.at)} ${message.name} joined`)
    case "Left":
      return Console.log(`${time(message.at)} ${message.name} left`)
    case "Problem":
      return Console.error(`Not sent: ${message.text}`)
    case "People":
      return Effect.void
  }
}

const chat = Command.make("chat", {
  name: Flag.String("name").pipe(Flag.withAlias("n"), Flag.withDescription("Who you are"), Flag.withSchema(Name)),
  url: Flag.String("url").pipe(
    Flag.withDescription("Where the chat is"),
    Flag.withDefault("ws://127.0.0.1:8080/chat")
  )
}, Effect.fnUntraced(function*({ name, url }) {
  const terminal = yield* Terminal.Terminal
  const connection = yield* Contract.connect(Chat, url)
  yield* connection.send({ _tag: "Join", name })

  const incoming = Stream.runForEach(connection.messages, show)
  const outgoing = Stream.fromEffectRepeat(terminal.readLine).pipe(
    // The end of the input.
    Stream.catchTag("QuitError", () => Stream.empty),
    Stream.map((line) => line.trim()),
    Stream.filter((line) => line !== ""),
    // A line that breaks the contract is not sent; the next one may be.
    Stream.mapEffect((text) =>
      connection.send({ _tag: "Say", text }).pipe(
        Effect.catchTag("SchemaError", (error) => Console.error(`Not sent: ${error.message.split("\n", 1)[0]}`))
      )
    ),
    Stream.runDrain
  )

  // Over as soon as one side is.
  yield* Effect.raceFirst(incoming, outgoing)
  const { code, initiator, reason } = yield* connection.ws.close(1000)
  if (initiator === "remote") yield* Console.log(`The chat ended: ${code}${reason === "" ? "" : ` ${reason}`}`)
},
  Effect.scoped,
  // Each way to fail has its tag and a message for people: HandshakeError, IOError, …
  Effect.tapError((error) => Console.error(`${error._tag}: ${error.message}`))
)).pipe(Command.withDescription("Joins the chat of examples/chat/server.ts"))

chat.pipe(
  Command.run({ version: "0.1.0" }),
  Effect.provide([NodeServices.layer, NodeWebSocketClient.layer]),
  // What went wrong was printed above.
  NodeRuntime.runMain({ disableErrorReporting: true })
)
