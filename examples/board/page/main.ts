/** The page of the boards: the same topics as the server's, over the browser's own WebSocket. */
import { NativeWebSocketClient, type ReconnectingClient } from "@effect-ws/core"
import { TopicClient } from "@effect-ws/core/realtime"
import { Effect, Fiber, Schema, Stream } from "effect"
import { Board, type Change, type Color, Name } from "../Board.ts"
import * as Edits from "../Edits.ts"
import * as Boards from "./boards.ts"
import * as View from "./view.ts"

const url = new URL("topics", location.href)
url.protocol = location.protocol === "https:" ? "wss:" : "ws:"

type Client = Effect.Success<ReturnType<typeof connect>>
const connect = () => TopicClient.make(url)

/** A name for this window: somebody may be here with several. */
const member = crypto.randomUUID()

const pointsEveryMillis = 60

/** What is shown of the connection, and of what waits for it. */
class Statuses {
  private kept = 0
  private last: ReconnectingClient.Status<unknown> | undefined

  show(status: ReconnectingClient.Status<unknown>): void {
    this.last = status
    const kept = this.kept === 0 ? "" : ` · ${this.kept} ${this.kept === 1 ? "change" : "changes"} kept`
    switch (status._tag) {
      case "Connecting":
        return View.showStatus("connecting", status.loss === undefined ? "Connecting…" : `Reconnecting…${kept}`)
      case "Open":
        return View.showStatus("open", "Connected")
      case "Waiting":
        return View.showStatus("waiting", `Offline${kept}`)
      case "Ended":
        return View.showStatus("refused", "Not connected")
    }
  }

  keeps(count: number): void {
    this.kept = count
    if (this.last !== undefined) this.show(this.last)
  }
}

/** One board, until another one is opened. `later` runs what has to be finished even then. */
const show = Effect.fnUntraced(function*(
  client: Client,
  name: string,
  id: string,
  later: (effect: Effect.Effect<void>) => void,
  statuses: Statuses
) {
  let edits = Edits.empty
  let isShown = true
  yield* Effect.addFinalizer(() => Effect.sync(() => isShown = false))
  const update = (next: Edits.Edits) => {
    edits = next
    // A change may be acknowledged when another board is open.
    if (!isShown) return
    View.showNotes(Edits.shown(edits), Edits.keptIds(edits))
    statuses.keeps(edits.pending.length)
  }

  const publish = (change: Change) => {
    const key = crypto.randomUUID()
    update(Edits.made(edits, key, change))
    later(
      client.publish(Board, { id }, change, { key, timeout: "1 hour" }).pipe(
        Effect.match({
          onSuccess: (at) => update(Edits.acknowledged(edits, key, at)),
          onFailure: (error) => {
            View.showProblem(`Not done: ${error.message}`)
            update(Edits.withdrawn(edits, key))
          }
        })
      )
    )
  }

  let pointedAt = 0
  View.showRoom({
    add: (x, y) => {
      const note = { id: crypto.randomUUID(), x, y, color: "yellow" as const, text: "" }
      publish({ _tag: "Added", note })
      return note.id
    },
    move: (note, x, y) => publish({ _tag: "Moved", id: note, x, y }),
    write: (note, text) => publish({ _tag: "Wrote", id: note, text }),
    paint: (note, color: Color) => publish({ _tag: "Painted", id: note, color }),
    remove: (note) => publish({ _tag: "Removed", id: note }),
    point: (x, y) => {
      const now = performance.now()
      if (now - pointedAt < pointsEveryMillis) return
      pointedAt = now
      later(Effect.ignore(client.signal(Board, { id }, { name, x, y })))
    }
  })
  Boards.show(id)
  update(edits)

  yield* Effect.forkScoped(client.join(Board, { id }, member, { name }))
  yield* Effect.forkScoped(Stream.runForEach(client.presence(Board, { id }), ({ count, members }) =>
    Effect.sync(() => View.showPeople(Array.from(members.values(), (one) => one.name), count))))
  yield* Effect.forkScoped(Stream.runForEach(client.signals(Board, { id }), ({ from, value }) =>
    Effect.sync(() => View.showCursor(from, value.name, value.x, value.y))))

  yield* Stream.runForEach(client.subscribe(Board, { id }, { snapshot: true }), (event) =>
    Effect.sync(() => {
      if (event._tag === "Publication") update(Edits.published(edits, event.key, event.value, event.position))
      else if (event._tag === "Snapshot") update(Edits.replaced(edits, event.value, event.position))
      else if (event._tag === "Gap") View.showProblem("Some changes were missed")
    }))
}, Effect.scoped)

/** From the moment that somebody joins to the one that the server shows them out. */
const visit = Effect.fnUntraced(function*(name: string) {
  const client = yield* connect()
  const statuses = new Statuses()
  yield* Effect.forkScoped(Stream.runForEach(client.statuses, (status) => Effect.sync(() => statuses.show(status))))
  const scope = yield* Effect.scope
  const context = yield* Effect.context<never>()
  const later = (effect: Effect.Effect<void>) => {
    Effect.runForkWith(context)(Effect.forkIn(effect, scope))
  }

  yield* Stream.fromEventListener(window, "hashchange").pipe(
    Stream.map(() => Boards.current()),
    Stream.prepend([Boards.current()]),
    Stream.switchMap((id) => Stream.fromEffect(show(client, name, id, later, statuses))),
    Stream.runDrain
  )
}, Effect.scoped)

const isName = Schema.is(Name)

const joining = Stream.fromEventListener(View.joinForm, "submit").pipe(
  Stream.map(() => View.nameInput.value.trim()),
  Stream.runForEach((name) => {
    if (!isName(name)) {
      return Effect.sync(() => {
        View.joinProblem.textContent = "Please enter a name of at most 24 characters"
        View.nameInput.focus()
      })
    }
    View.joinProblem.textContent = ""
    remember(name)
    return visit(name).pipe(
      // The server does not want us as we are: back to the form.
      Effect.catch((error) => Effect.sync(() => View.showEntry(`The server refused: ${error.message}`)))
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
View.joinForm.addEventListener("submit", (event) => event.preventDefault())

try {
  View.nameInput.value = localStorage.getItem("name") ?? ""
} catch {
  // Nothing was remembered.
}
View.nameInput.focus()

const running = Effect.runFork(Effect.provide(joining, NativeWebSocketClient.layer))
addEventListener("pagehide", (event) => {
  // A page that may come back from the cache keeps its connection's place.
  if (!event.persisted) Effect.runFork(Fiber.interrupt(running))
})
