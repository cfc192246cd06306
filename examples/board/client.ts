/**
 * A board from a terminal: `npm run board -- --name Ada`. It shows the notes and what happens to them, and takes
 * commands; `help` lists them. Ctrl-C or Ctrl-D leaves.
 */
import { ReconnectingClient } from "@effect-ws/core"
import { TopicClient } from "@effect-ws/core/realtime"
import { NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Stream, Terminal } from "effect"
import { Command, Flag } from "effect/cli"
import { Board, BoardId, type Change, Name, type Note } from "./Board.ts"
import * as Commands from "./Commands.ts"
import * as Edits from "./Edits.ts"

const line = ({ color, id, text }: Note) => `  ${id.slice(0, 4)}  ${color.padEnd(6)}  ${text === "" ? "(empty)" : text.replaceAll("\n", " / ")}`

const board = Command.make("board", {
  name: Flag.String("name").pipe(Flag.withAlias("n"), Flag.withDescription("Who you are"), Flag.withSchema(Name)),
  board: Flag.String("board").pipe(
    Flag.withAlias("b"),
    Flag.withDescription("Which board"),
    Flag.withDefault("welcome"),
    Flag.withSchema(BoardId)
  ),
  url: Flag.String("url").pipe(
    Flag.withDescription("Where the boards are"),
    Flag.withDefault("ws://127.0.0.1:8080/topics")
  )
}, Effect.fnUntraced(function*({ board: id, name, url }) {
  const terminal = yield* Terminal.Terminal
  const client = yield* TopicClient.make(url)
  let edits = Edits.empty

  const publish = (change: Change) => {
    const key = crypto.randomUUID()
    edits = Edits.made(edits, key, change)
    return client.publish(Board, { id }, change, { key }).pipe(
      Effect.matchEffect({
        onSuccess: (at) => Effect.sync(() => edits = Edits.acknowledged(edits, key, at)),
        onFailure: (error) => {
          edits = Edits.withdrawn(edits, key)
          return Console.error(`Not done: ${error.message}`)
        }
      }),
      Effect.forkScoped
    )
  }

  const list = Effect.suspend(() => {
    const notes = Edits.shown(edits)
    return Console.log(notes.length === 0 ? "The board is empty" : notes.map(line).join("\n"))
  })

  const take = (text: string) => {
    const command = Commands.parse(text, Edits.shown(edits))
    switch (command._tag) {
      case "Change":
        return publish(command.change)
      case "List":
        return list
      case "Say":
        return Console.log(command.text)
    }
  }

  yield* Effect.forkScoped(Stream.runForEach(client.statuses, (status) => Console.error(`# ${ReconnectingClient.describe(status)}`)))
  yield* Effect.forkScoped(client.join(Board, { id }, crypto.randomUUID(), { name }))
  yield* Effect.forkScoped(
    client.presence(Board, { id }).pipe(
      Stream.map(({ members }) => Array.from(members.values(), (one) => one.name).toSorted().join(", ")),
      Stream.changes,
      Stream.runForEach((names) => Console.log(`Here now: ${names}`))
    )
  )

  const incoming = Stream.runForEach(client.subscribe(Board, { id }, { snapshot: true }), (event) => {
    switch (event._tag) {
      case "Snapshot":
        edits = Edits.replaced(edits, event.value, event.position)
        return list
      case "Publication": {
        const told = Commands.describe(event.value, Edits.shown(edits))
        const isOwn = edits.pending.some(({ key }) => key === event.key)
        edits = Edits.published(edits, event.key, event.value, event.position)
        return isOwn ? Effect.void : Console.log(told)
      }
      case "Gap":
        return Console.log("Some changes were missed")
      default:
        return Effect.void
    }
  })
  const outgoing = Stream.fromEffectRepeat(terminal.readLine).pipe(
    // The end of the input.
    Stream.catchTag("QuitError", () => Stream.empty),
    Stream.map((text) => text.trim()),
    Stream.filter((text) => text !== ""),
    Stream.runForEach(take)
  )

  // Over as soon as one side is; what is on its way is waited for a moment.
  yield* Effect.raceFirst(incoming, outgoing)
  yield* Effect.whileLoop({
    while: () => edits.pending.length > 0,
    body: () => Effect.sleep("50 millis"),
    step: () => {}
  }).pipe(Effect.timeoutOption("5 seconds"))
},
  Effect.scoped,
  Effect.tapError((error) => Console.error(error.message))
)).pipe(Command.withDescription("Joins a board of examples/board/server.ts"))

board.pipe(
  Command.run({ version: "0.1.0" }),
  Effect.provide([NodeServices.layer, NodeWebSocketClient.layer]),
  // What went wrong was printed above.
  NodeRuntime.runMain({ disableErrorReporting: true })
)
