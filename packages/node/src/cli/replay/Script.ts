/**
 * One side of a recorded connection as a script: what it sent, and how many messages of the other side it had received by
 * then. Played in that order, the conversation is the same, however fast the other side is this time.
 */
import { ConnectionWatch } from "../inspect/ConnectionWatch.ts"
import type { Head } from "../inspect/Head.ts"
import type { Completed, Side, What } from "../inspect/Observation.ts"
import type { Event } from "../inspect/Recording.ts"

export interface Step {
  /** Milliseconds since the connection began. */
  readonly at: number
  /** How many messages of the other side, its Close frame included, arrived before. */
  readonly after: number
  readonly act: { readonly _tag: "Send"; readonly bytes: Uint8Array } | { readonly _tag: "End"; readonly how: string }
}

export interface Script {
  readonly connection: number
  /** The heads of both sides; the last one if there were several. */
  readonly heads: { readonly client: Head | undefined; readonly server: Head | undefined }
  readonly steps: ReadonlyArray<Step>
  /** The messages of the other side. */
  readonly heard: ReadonlyArray<Heard>
}

/** A message, or the payload of a Close frame. */
export type Heard = { readonly _tag: "Message"; readonly message: Completed["message"] } | {
  readonly _tag: "Close"
  readonly payload: Uint8Array
}

/** What the other side has to send again. Pings, pongs and the size of fragments may differ. */
export const heardOf = (what: What): Heard | undefined => {
  if (what._tag !== "Frame") return undefined
  if (what.completed !== undefined) return { _tag: "Message", message: what.completed.message }
  return what.frame.opcode === 8 ? { _tag: "Close", payload: what.frame.data } : undefined
}

const isSameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

export const isSame = (a: Heard, b: Heard): boolean => {
  if (a._tag === "Close") return b._tag === "Close" && isSameBytes(a.payload, b.payload)
  if (b._tag === "Close") return false
  if (typeof a.message === "string" || typeof b.message === "string") return a.message === b.message
  return isSameBytes(a.message, b.message)
}

/** The connections of a recording. */
export const connectionsOf = (events: ReadonlyArray<Event>): ReadonlyArray<number> =>
  [...new Set(events.map(({ connection }) => connection))]

/** The script of `side`. */
export const scriptOf = (events: ReadonlyArray<Event>, connection: number, side: Side): Script => {
  const watch = new ConnectionWatch()
  const heads: { client: Head | undefined; server: Head | undefined } = { client: undefined, server: undefined }
  const steps: Array<Step> = []
  const heard: Array<Heard> = []
  let began: number | undefined
  for (const event of events) {
    if (event.connection !== connection) continue
    began ??= event.at
    const at = event.at - began
    if (event.event === "head") {
      heads[event.from] = { start: event.start, headers: event.headers }
      watch.head(event.from, { start: event.start, headers: event.headers })
      continue
    }
    const bytes = event.event === "bytes" ? Buffer.from(event.base64, "base64") : undefined
    if (event.from === side) {
      const act: Step["act"] = bytes === undefined
        ? { _tag: "End", how: event.event === "end" ? event.how : "" }
        : { _tag: "Send", bytes }
      steps.push({ at, after: heard.length, act })
    }
    if (bytes === undefined) continue
    const seen = watch.bytes(event.from, bytes)
    if (event.from !== side) heard.push(...seen.flatMap(({ what }) => heardOf(what) ?? []))
  }
  return { connection, heads, steps, heard }
}
