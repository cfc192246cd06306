/**
 * What one person sees of a board: the notes that the server has confirmed, and on top of them the changes made here that
 * have not come back yet. So a board answers at once, and can be edited while there is no connection.
 */
import type { Broker } from "@effect-ws/core/realtime"
import { apply, type Change, type Notes } from "./Board.ts"

interface Pending {
  readonly key: string
  readonly change: Change
  /** Where it was published, once the server has said so. */
  readonly at?: Broker.Position
}

export interface Edits {
  readonly confirmed: Notes
  /** The last publication that is contained in them. */
  readonly position: Broker.Position
  /** In the order in which they were made. */
  readonly pending: ReadonlyArray<Pending>
}

export const empty: Edits = { confirmed: [], position: { epoch: "", offset: 0 }, pending: [] }

/** What is shown. */
export const shown = ({ confirmed, pending }: Edits): Notes =>
  pending.reduce((notes, { change }) => apply(notes, change), confirmed)

const idOf = (change: Change): string => change._tag === "Added" ? change.note.id : change.id

/** The notes with changes that have not come back. */
export const keptIds = ({ pending }: Edits): ReadonlySet<string> => new Set(pending.map(({ change }) => idOf(change)))

/** Without the changes that are contained in what is confirmed. */
const settle = (edits: Edits): Edits => ({
  ...edits,
  pending: edits.pending.filter(({ at }) =>
    at === undefined || at.epoch !== edits.position.epoch || at.offset > edits.position.offset
  )
})

/** A change that was made here. */
export const made = (edits: Edits, key: string, change: Change): Edits => ({
  ...edits,
  pending: [...edits.pending, { key, change }]
})

/** The server has published a change that was made here; it comes, or has come, like everybody's. */
export const acknowledged = (edits: Edits, key: string, at: Broker.Position): Edits =>
  settle({ ...edits, pending: edits.pending.map((one) => one.key === key ? { ...one, at } : one) })

/** A publication arrived: somebody's, or one of those made here. */
export const published = ({ confirmed, pending }: Edits, key: string, change: Change, position: Broker.Position): Edits => ({
  confirmed: apply(confirmed, change),
  position,
  pending: pending.filter((one) => one.key !== key)
})

/** The board as a whole arrived: at the beginning, or where publications are missing. */
export const replaced = (edits: Edits, confirmed: Notes, position: Broker.Position): Edits =>
  settle({ ...edits, confirmed, position })

/** A change made here was not accepted. */
export const withdrawn = (edits: Edits, key: string): Edits => ({
  ...edits,
  pending: edits.pending.filter((one) => one.key !== key)
})
