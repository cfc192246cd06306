/**
 * The page of the chat: the same contract as the server's, over a client that comes back on the
 * browser's own WebSocket.
 */
import { Contract, NativeWebSocketClient, type ReconnectingClient } from "@effect-ws/core"
import { Effect, Stream } from "effect"
import { Chat, type FromServer } from "../Protocol.ts"
import * as View from "./view.ts"

const url = new URL("chat", location.href)
url.protocol = location.protocol === "https:" ? "wss:" : "ws:"

const show = (wanted: string) => (message: FromServer): void => {
  switch (message._tag) {
    case "Welcome":
      View.showRoom(message.name, message.history)
      View.showPeople(message.people)
      if (message.name !== wanted) View.addNotice(`${wanted} is taken, so you are ${message.name}`)
      return
    case "Said":
      return View.addMessage(message)
    case "Joined":
      return View.addNotice(`${message.name} joined`, message.at)
    case "Left":
      return View.addNotice(`${message.name} left`, message.at)
    case "People":
      return View.showPeople(message.people)
    case "Problem":
      View.sayProblem.textContent = message.text
  }
}

const reasonOf = (loss: unknown): string | undefined =>
  // 1013: the room is full, and the server says so.
  typeof loss === "object" && loss !== null && "info" in loss
    ? (loss as { readonly info: { readonly code: number; readonly reason: string } }).info.reason || undefined
    : undefined

let isLost = false

const showStatus = (status: ReconnectingClient.Status<unknown>): void => {
  switch (status._tag) {
    case "Connecting":
      return View.showStatus("connecting", status.loss === undefined ? "Connecting…" : "Reconnecting…")
    case "Open":
      isLost = false
      return View.showStatus("open", "Connected")
    case "Waiting":
      View.sendButton.disabled = true
      if (View.isInside() && !isLost) View.addNotice("Connection lost")
      isLost = true
      return View.showStatus("waiting", reasonOf(status.loss) ?? "Reconnecting…")
    case "Ended":
      View.sendButton.disabled = true
      return View.showStatus("refused", "Not connected")
  }
}

/** From the moment that somebody joins to the one that the server shows them out. */
const visit = Effect.fnUntraced(function*(name: string) {
  const chat = yield* Contract.reconnecting(Chat, url, {
    // While there is no connection, what was typed stays where it is.
    whileAway: "fail",
    // The server speaks every two seconds; silence for much longer means that the network is gone.
    maxSilence: "10 seconds",
    onOpen: (connection) => connection.send({ _tag: "Join", name })
  })
  const say = Effect.fnUntraced(function*(text: string) {
    yield* chat.send({ _tag: "Say", text })
    View.sayProblem.textContent = ""
    View.textInput.value = ""
    View.fitText()
  }, (effect) =>
    effect.pipe(
      Effect.catchTag("SchemaError", (error) =>
        Effect.sync(() => View.sayProblem.textContent = error.message.split("\n", 1)[0] ?? "")),
      Effect.catchTag(["NotConnected", "DeliveryUnknown"], () => Effect.void)
    ))

  yield* Effect.forkScoped(Stream.runForEach(chat.statuses, (status) => Effect.sync(() => showStatus(status))))
  yield* Effect.forkScoped(
    Stream.fromEventListener(View.sayForm, "submit").pipe(
      Stream.map(() => View.textInput.value.trim()),
      Stream.filter((text) => text !== ""),
      Stream.runForEach(say)
    )
  )
  const shown = show(name)
  yield* Stream.runForEach(chat.messages, (message) => Effect.sync(() => shown(message)))
}, Effect.scoped)

const joining = Stream.fromEventListener(View.joinForm, "submit").pipe(
  Stream.map(() => View.nameInput.value.trim()),
  Stream.runForEach((name) => {
    if (name === "") {
      return Effect.sync(() => {
        View.joinProblem.textContent = "Please enter a name"
        View.nameInput.focus()
      })
    }
    View.joinProblem.textContent = ""
    remember(name)
    return visit(name).pipe(
      // The server does not want us as we are: back to the form.
      Effect.catch((error) => Effect.sync(() => View.showEntry(`The server refused: ${reasonOf(error) ?? error.message}`)))
    )
  })
)

const remember = (name: string): void => {
  try {
    localStorage.setItem("name", name)
  } catch {
    // Not remembered, then.
  }
}

// At once: a stream sees the event when it is too late.
for (const form of [View.joinForm, View.sayForm]) form.addEventListener("submit", (event) => event.preventDefault())

try {
  View.nameInput.value = localStorage.getItem("name") ?? ""
} catch {
  // Nothing was remembered.
}
View.nameInput.focus()

Effect.runFork(Effect.provide(joining, NativeWebSocketClient.layer))
