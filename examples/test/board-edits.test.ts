import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { apply, type Change, capacity, Change as ChangeSchema, type Notes } from "../board/Board.ts"
import * as Edits from "../board/Edits.ts"

const note = (id: string, text = "") => ({ id, x: 10, y: 20, color: "yellow" as const, text })
const added = (id: string, text = ""): Change => ({ _tag: "Added", note: note(id, text) })
const of = (...changes: ReadonlyArray<Change>): Notes => changes.reduce(apply, [] as Notes)

describe("a board", () => {
  it("has the notes that were added, moved, written, painted and not removed", () => {
    const notes = of(
      added("a"),
      added("b"),
      added("c"),
      { _tag: "Wrote", id: "a", text: "hello" },
      { _tag: "Painted", id: "a", color: "blue" },
      { _tag: "Moved", id: "a", x: 1, y: 2 },
      { _tag: "Removed", id: "b" }
    )
    assert.deepStrictEqual(notes, [note("c"), { id: "a", x: 1, y: 2, color: "blue", text: "hello" }])
  })

  it.prop("takes every change, also of notes that are not there", [Schema.Array(ChangeSchema)], ([changes]) => {
    const notes = of(...changes)
    assert.strictEqual(new Set(notes.map(({ id }) => id)).size, notes.length)
    assert.isAtMost(notes.length, capacity)
  })

  it("keeps its bound", () => {
    const full = of(...Array.from({ length: capacity }, (_, i) => added(`n${i}`)))
    assert.strictEqual(apply(full, added("one-more")), full)
  })
})

const at = (offset: number) => ({ epoch: "e", offset })

describe("what one person sees", () => {
  it("shows a change at once, and once", () => {
    let edits = Edits.made(Edits.empty, "k1", added("a", "mine"))
    assert.deepStrictEqual(Edits.shown(edits), [note("a", "mine")])
    assert.deepStrictEqual(Edits.keptIds(edits), new Set(["a"]))
    edits = Edits.published(edits, "k0", added("b"), at(1))
    assert.deepStrictEqual(Edits.shown(edits).map(({ id }) => id), ["b", "a"])
    edits = Edits.published(edits, "k1", added("a", "mine"), at(2))
    assert.deepStrictEqual(edits, { confirmed: [note("b"), note("a", "mine")], position: at(2), pending: [] })
  })

  it("keeps what was made here above a board that arrives as a whole, unless it is in there", () => {
    const wrote = Edits.made(Edits.empty, "k1", { _tag: "Wrote", id: "a", text: "mine" })
    const replaced = Edits.replaced(wrote, [note("a", "theirs")], at(5))
    assert.deepStrictEqual(Edits.shown(replaced), [note("a", "mine")])
    assert.deepStrictEqual(Edits.shown(Edits.withdrawn(replaced, "k1")), [note("a", "theirs")])
    // Acknowledged before the board came, or behind it; contained in it, or not.
    for (const [offset, kept] of [[5, 0], [6, 1]] as const) {
      const before = Edits.replaced(Edits.acknowledged(wrote, "k1", at(offset)), [note("a")], at(5))
      const behind = Edits.acknowledged(Edits.replaced(wrote, [note("a")], at(5)), "k1", at(offset))
      assert.strictEqual(before.pending.length, kept)
      assert.strictEqual(behind.pending.length, kept)
    }
  })

  it("agrees with everybody once everything has been published, in whatever order it was made", () => {
    const log: ReadonlyArray<readonly [string, Change]> = [
      ["x1", added("a")],
      ["y1", { _tag: "Moved", id: "a", x: 5, y: 5 }],
      ["x2", { _tag: "Moved", id: "a", x: 9, y: 9 }],
      ["y2", { _tag: "Removed", id: "a" }],
      ["x3", { _tag: "Wrote", id: "a", text: "late" }]
    ]
    const see = (own: string) =>
      log.reduce(
        (edits, [key, change], index) => Edits.published(edits, key, change, at(index + 1)),
        log.filter(([key]) => key.startsWith(own)).reduce((edits, [key, change]) => Edits.made(edits, key, change), Edits.empty)
      )
    assert.deepStrictEqual(Edits.shown(see("x")), [])
    assert.deepStrictEqual(see("x"), see("y"))
  })
})
