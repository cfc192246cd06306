/**
 * What a board is: notes, and the changes that people make to them. Server, terminal client and page import this
 * family of topics; nothing here knows of connections.
 */
import { Topic } from "@effect-ws/core/realtime"
import { Schema } from "effect"

/** The size of a board, in the page's pixels. */
export const width = 2400
export const height = 1600

/** A board has at most so many notes. */
export const capacity = 200

export const colors = ["yellow", "pink", "blue", "green", "purple"] as const
export const Color = Schema.Literals(colors)
export type Color = typeof Color.Type

// What arrives here may be printed in somebody's terminal, where control characters do things.
const printable = Schema.isPattern(/^(?:[^\p{Cc}]|\n)*$/u, { message: "a text has no control characters" })
const Text = Schema.String.check(Schema.isMaxLength(400, { message: "a note has at most 400 characters" }), printable)
const Id = Schema.String.check(Schema.isPattern(/^[a-z0-9-]{1,40}$/))
const X = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: width }))
const Y = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: height }))

export const Name = Schema.String.check(
  Schema.isTrimmed({ message: "a name has no spaces around it" }),
  Schema.isNonEmpty({ message: "a name is not empty" }),
  Schema.isMaxLength(24, { message: "a name has at most 24 characters" }),
  Schema.isPattern(/^[^\p{Cc}\u2028-\u202e\u2066-\u2069]*$/u, { message: "a name has no control characters" })
)

/** The name of a board, as it stands in the page's address. */
export const BoardId = Id

export const Note = Schema.Struct({ id: Id, x: X, y: Y, color: Color, text: Text })
export type Note = typeof Note.Type

/** What somebody does to a board. One that concerns a note that is gone changes nothing. */
export const Change = Schema.Union([
  Schema.TaggedStruct("Added", { note: Note }),
  Schema.TaggedStruct("Moved", { id: Id, x: X, y: Y }),
  Schema.TaggedStruct("Wrote", { id: Id, text: Text }),
  Schema.TaggedStruct("Painted", { id: Id, color: Color }),
  Schema.TaggedStruct("Removed", { id: Id })
])
export type Change = typeof Change.Type

/** The notes of a board, the one on top last. */
export const Notes = Schema.Array(Note)
export type Notes = typeof Notes.Type

export const Board = Topic.make("board/:id", {
  params: { id: BoardId },
  publication: Change,
  // Where somebody points at.
  signal: Schema.Struct({ name: Name, x: X, y: Y }),
  member: Schema.Struct({ name: Name }),
  snapshot: Notes,
  history: { size: 1000, timeToLive: "1 day" }
})

/** The notes behind a change. */
export const apply = (notes: Notes, change: Change): Notes => {
  switch (change._tag) {
    case "Added":
      return notes.length >= capacity || notes.some(({ id }) => id === change.note.id) ? notes : [...notes, change.note]
    case "Removed":
      return notes.filter(({ id }) => id !== change.id)
    case "Moved": {
      const moved = notes.find(({ id }) => id === change.id)
      // It comes to lie on top.
      return moved === undefined
        ? notes
        : [...notes.filter(({ id }) => id !== change.id), { ...moved, x: change.x, y: change.y }]
    }
    case "Wrote":
      return notes.map((note) => note.id === change.id ? { ...note, text: change.text } : note)
    case "Painted":
      return notes.map((note) => note.id === change.id ? { ...note, color: change.color } : note)
  }
}
