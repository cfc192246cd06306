import { assert, describe, it } from "@effect/vitest"
import { Topic } from "@effect-ws/core/realtime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const Cell = Topic.make("board/:id/cell/:row", {
  params: { row: Schema.NumberFromString.check(Schema.isInt()) },
  publication: Schema.String
})
const Room = Topic.make("room/:id", { publication: Schema.String, history: { size: 5, timeToLive: "2 seconds" } })

describe("a family of topics", () => {
  it("names its topics by their parameters", () => {
    assert.strictEqual(Topic.nameOf(Cell, { id: "a", row: 3 }), "board/a/cell/3")
    assert.strictEqual(Topic.nameOf(Room, { id: "a/b c" }), "room/a%2Fb%20c")
  })

  it("has a history with defaults", () => {
    assert.deepStrictEqual(Room.history, { size: 5, timeToLive: 2000, keyTimeToLive: 600_000 })
    assert.deepStrictEqual(Cell.history, { size: 1000, timeToLive: 3_600_000, keyTimeToLive: 600_000 })
  })

  it.prop("finds the parameters in each name that it makes", [Schema.String.check(Schema.isMaxLength(20)), Schema.Int], ([id, row]) => {
    // A lone surrogate has no percent-encoding, and -0 is written as 0.
    if (id === "" || !id.isWellFormed()) return
    assert.deepStrictEqual(Topic.paramsOf(Cell, Topic.nameOf(Cell, { id, row })), Option.some({ id, row: row + 0 }))
  })

  it.each([
    "board/a/cell",
    "board/a/cell/3/",
    "board//cell/3",
    "board/a/cell/x",
    "board/a/cell/1.5",
    "Board/a/cell/3",
    "board/%zz/cell/3",
    "board/a b/cell/3",
    "board/%61/cell/3",
    `board/${"a".repeat(256)}/cell/3`
  ])("has no topic named %s", (name) => {
    assert.deepStrictEqual(Topic.paramsOf(Cell, name), Option.none())
  })

  it("refuses parameters that make no name", () => {
    assert.throws(() => Topic.nameOf(Room, { id: "" }), /is empty/)
    assert.throws(() => Topic.nameOf(Room, { id: "a".repeat(260) }), /at most 256/)
    assert.throws(() => Topic.nameOf(Cell, { id: "a", row: 1.5 }))
  })

  it("refuses paths that make no names", () => {
    for (const path of ["", "a//b", "/a", "a/:"]) {
      assert.throws(() => Topic.make(path, { publication: Schema.String }), /empty segment/)
    }
    assert.throws(() => Topic.make("a/:id/:id", { publication: Schema.String }), /twice/)
  })
})
