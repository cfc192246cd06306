/** The texts that a server sends: values in them are JSON text already. */
import * as Message from "../../Message.ts"
import type { Position } from "../Broker.ts"
import type { Gap } from "../TopicEvent.ts"
import type * as Messages from "../wire/Messages.ts"

const gapFields = ({ from, reason, to }: Gap) => ({ reason, from, to })

/** Adds a field whose value is JSON text to the text of an object. */
const withText = (object: string, field: string, text: string): string => `${object.slice(0, -1)},"${field}":${text}}`

export const welcome = (fields: Omit<typeof Messages.Welcome.Type, "type">): string =>
  JSON.stringify({ type: "welcome", ...fields })

export const done = (id: number): string => JSON.stringify({ type: "done", id })

export const published = (id: number, position: Position, duplicate: boolean): string =>
  JSON.stringify({ type: "published", id, position, duplicate })

export const gap = (topic: string, gap: Gap): string => JSON.stringify({ type: "gap", topic, gap: gapFields(gap) })

export const subscribed = (
  id: number,
  topic: string,
  { gap, position, snapshot, top }: {
    readonly position: Position
    readonly top: number
    readonly gap: Gap | undefined
    readonly snapshot: { readonly position: Position; readonly value: string } | undefined
  }
): string => {
  const text = JSON.stringify({ type: "subscribed", id, topic, position, top, ...(gap && { gap: gapFields(gap) }) })
  if (snapshot === undefined) return text
  const { position: at, value } = snapshot
  return withText(text, "snapshot", withText(JSON.stringify({ position: at }), "value", value))
}

export type Code = (typeof Messages.Failed.Type)["code"]

/** Why something was not done. */
export class Failure {
  readonly code: Code
  readonly message: string
  /** The program's own error, as JSON text. */
  readonly error: string | undefined

  constructor(code: Code, message: string, error?: string) {
    this.code = code
    this.message = message
    this.error = error
  }
}

export const failed = (id: number, { code, error, message }: Failure): string => {
  const text = JSON.stringify({ type: "failed", id, code, message })
  return error === undefined ? text : withText(text, "error", error)
}

export const expiring = (after: number): string => JSON.stringify({ type: "expiring", after })

export const ended = (topic: string, message: string, error: string | undefined): string => {
  const text = JSON.stringify({ type: "ended", topic, message })
  return error === undefined ? text : withText(text, "error", error)
}

export const signalled = (topic: string, from: string, payload: string): Message.Prepared =>
  Message.prepare(withText(JSON.stringify({ type: "signalled", topic, from }), "value", payload))

// A client takes messages of a limited size; what is told of a member has one too.
const mostPresence = 128 * 1024

/** As many messages as it takes: the first may be full, and the others add to it. */
export const presence = (
  topic: string,
  { count, isFull, isListed }: { readonly count: number; readonly isFull: boolean; readonly isListed: boolean },
  came: ReadonlyArray<readonly [member: string, payload: string]>,
  left: ReadonlyArray<string>
): ReadonlyArray<Message.Prepared> => {
  const messages: Array<Message.Prepared> = []
  const add = (members: ReadonlyArray<string>, left: ReadonlyArray<string>) => {
    const text = JSON.stringify({ type: "presence", topic, count, full: isFull && messages.length === 0, listed: isListed, left })
    messages.push(Message.prepare(withText(text, "members", `[${members.join(",")}]`)))
  }
  let members: Array<string> = []
  let size = 0
  for (const [member, payload] of came) {
    const text = withText(JSON.stringify({ member }), "value", payload)
    if (size + text.length > mostPresence && members.length > 0) {
      add(members, [])
      members = []
      size = 0
    }
    members.push(text)
    size += text.length
  }
  add(members, left)
  return messages
}
