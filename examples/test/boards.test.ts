import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, Topics } from "@effect-ws/core/realtime"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Board, type Change } from "../board/Board.ts"
import { Boards, BoardStore } from "../board/Boards.ts"

const layer = Boards.layer.pipe(
  Layer.provideMerge(BoardStore.layerMemory()),
  Layer.provideMerge(Topics.layer()),
  Layer.provide(Broker.layerMemory)
)

const id = "b"
const added = (id: string): Change => ({ _tag: "Added", note: { id, x: 1, y: 2, color: "yellow", text: "" } })

// What a program of another version publishes.
const Other = Topic.make("board/:id", { publication: Schema.String, history: Board.history })

describe("a board that is followed", () => {
  it.effect("is still what its changes came to after one that cannot be read", () =>
    Effect.gen(function*() {
      const boards = yield* Boards
      const change = (value: Change) => Topics.publish(Board, { id }, value)
      yield* change(added("a"))
      yield* change(added("b"))
      // It comes to lie on top. Moved once more, it would lie on top of what was added since.
      yield* change({ _tag: "Moved", id: "a", x: 3, y: 4 })
      const position = yield* change(added("c"))
      yield* Topics.publish(Other, { id }, "?")
      const ids = Effect.map(boards.notes(id, position), (notes) => notes.map(({ id }) => id))
      assert.deepStrictEqual(yield* ids, ["b", "a", "c"])
      yield* TestClock.adjust("1500 millis")
      assert.deepStrictEqual(yield* ids, ["b", "a", "c"])
    }).pipe(Effect.provide(layer)))
})
