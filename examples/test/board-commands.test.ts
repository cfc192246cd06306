import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type Notes } from "../board/Board.ts"
import * as Commands from "../board/Commands.ts"

const notes: Notes = [
  { id: "abc1", x: 1, y: 2, color: "yellow", text: "milk" },
  { id: "abd2", x: 1, y: 2, color: "pink", text: "two\nlines" }
]
const parse = (text: string) => Commands.parse(text, notes)
const said = (text: string): string => {
  const command = parse(text)
  return command._tag === "Say" ? command.text : `not said: ${command._tag}`
}

describe("the commands of a board", () => {
  it("change it", () => {
    const added = parse("add  buy milk ")
    assert.isTrue(added._tag === "Change" && added.change._tag === "Added" && added.change.note.text === "buy milk")
    assert.deepStrictEqual(parse("write abc two words"), { _tag: "Change", change: { _tag: "Wrote", id: "abc1", text: "two words" } })
    assert.deepStrictEqual(parse("paint abd2 blue"), { _tag: "Change", change: { _tag: "Painted", id: "abd2", color: "blue" } })
    assert.deepStrictEqual(parse("move abd2 30 40"), { _tag: "Change", change: { _tag: "Moved", id: "abd2", x: 30, y: 40 } })
    assert.deepStrictEqual(parse("remove abc1"), { _tag: "Change", change: { _tag: "Removed", id: "abc1" } })
    assert.deepStrictEqual(parse("list"), { _tag: "List" })
  })

  it("say what they do not understand", () => {
    assert.match(said("dance"), /What is "dance"/)
    assert.match(said("help"), /add TEXT/)
    assert.match(said("remove"), /No note/)
    assert.match(said("remove x"), /No note is named x/)
    assert.match(said("remove ab"), /Several notes begin with ab/)
    assert.match(said("paint abc1 black"), /The colours are/)
    assert.match(said("move abc1 30"), /Expected/)
    assert.match(said("move abc1 -1 0"), /Expected/)
    assert.match(said(`add ${"x".repeat(401)}`), /at most 400/)
  })

  it.prop("take any line", [Schema.String], ([text]) => {
    assert.include(["Change", "List", "Say"], parse(text)._tag)
  })

  it("tell every change in one line", () => {
    for (
      const change of [
        { _tag: "Added", note: notes[1]! },
        { _tag: "Moved", id: "abd2", x: 1, y: 1 },
        { _tag: "Wrote", id: "abd2", text: "a\nb" },
        { _tag: "Painted", id: "gone", color: "blue" },
        { _tag: "Removed", id: "abd2" }
      ] as const
    ) {
      assert.notInclude(Commands.describe(change, notes), "\n")
    }
  })
})
