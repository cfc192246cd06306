/** What can be typed in a terminal, and how changes are told there. */
import { type Change, Change as ChangeSchema, type Color, colors, height, type Note, type Notes, width } from "./Board.ts"
import { Result, Schema } from "effect"

export type Command =
  | { readonly _tag: "Change"; readonly change: Change }
  | { readonly _tag: "List" }
  | { readonly _tag: "Say"; readonly text: string }

const help = `add TEXT          adds a note
write NOTE TEXT   writes on a note; the first letters of its name will do
paint NOTE COLOR  ${colors.join(", ")}
move NOTE X Y     0 0 is the upper left corner, ${width} ${height} the lower right one
remove NOTE
list              shows the notes`

const say = (text: string): Command => ({ _tag: "Say", text })

const isChange = Schema.decodeUnknownResult(Schema.toType(ChangeSchema))

const change = (wanted: unknown): Command => {
  const result = isChange(wanted)
  return Result.isSuccess(result)
    ? { _tag: "Change", change: result.success }
    : say(result.failure.message.split("\n", 1)[0] ?? "That is no change")
}

/** Understands a line; a note is named by the beginning of its id. */
export const parse = (text: string, notes: Notes): Command => {
  const [verb = "", first = "", ...rest] = text.split(/\s+/)
  const tail = text.slice(text.indexOf(first, verb.length) + first.length).trim()
  switch (verb) {
    case "help":
      return say(help)
    case "list":
      return { _tag: "List" }
    case "add": {
      const note: Note = {
        id: crypto.randomUUID(),
        x: 60 + (notes.length % 10) * 210,
        y: 60 + (Math.floor(notes.length / 10) % 9) * 150,
        color: "yellow",
        text: text.slice(verb.length).trim()
      }
      return change({ _tag: "Added", note })
    }
    case "write":
    case "paint":
    case "move":
    case "remove": {
      const found = notes.filter(({ id }) => first !== "" && id.startsWith(first))
      if (found.length !== 1) return say(found.length === 0 ? `No note is named ${first || "like that"}` : `Several notes begin with ${first}`)
      const { id } = found[0]!
      if (verb === "write") return change({ _tag: "Wrote", id, text: tail })
      if (verb === "remove") return change({ _tag: "Removed", id })
      if (verb === "move") return change({ _tag: "Moved", id, x: Number(rest[0]), y: Number(rest[1]) })
      return isColor(rest[0]) ? change({ _tag: "Painted", id, color: rest[0] }) : say(`The colours are ${colors.join(", ")}`)
    }
    default:
      return say(`What is "${verb}"? The commands:\n${help}`)
  }
}

const isColor = (word: string | undefined): word is Color => colors.some((color) => color === word)

const quoted = (note: Note | undefined): string => note === undefined ? "a note" : `"${note.text.replaceAll("\n", " / ")}"`

/** What somebody did, as one line. */
export const describe = (change: Change, notes: Notes): string => {
  const before = change._tag === "Added" ? change.note : notes.find(({ id }) => id === change.id)
  switch (change._tag) {
    case "Added":
      return `+ ${quoted(before)} was added`
    case "Moved":
      return `  ${quoted(before)} was moved to ${change.x} ${change.y}`
    case "Wrote":
      return `  ${quoted(before)} now says "${change.text.replaceAll("\n", " / ")}"`
    case "Painted":
      return `  ${quoted(before)} is ${change.color} now`
    case "Removed":
      return `- ${quoted(before)} was removed`
  }
}
