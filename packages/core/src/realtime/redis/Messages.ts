/** The messages of a shard's channel, as the scripts write them. Checked by hand, because there is one for each publication. */
import type { Entry } from "../broker/Model.ts"

export interface ShardMessage {
  readonly epoch: string
  /** Missing where the message carries signals alone. */
  readonly seq: number | undefined
  readonly mark: string
  /** The mark of the message before, if this one's is another. */
  readonly before: string | undefined
  readonly published: ReadonlyArray<readonly [offset: number, topic: string, key: string, payload: string]>
  readonly changed: ReadonlyArray<string>
  readonly signals: ReadonlyArray<readonly [topic: string, from: string, payload: string]>
}

const none: ReadonlyArray<never> = []

/** `undefined` if it is none. */
export const parseMessage = (text: string): ShardMessage | undefined => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  const { b, e, g, k, m, p, s } = value as { readonly [key in "e" | "s" | "k" | "b" | "p" | "m" | "g"]?: unknown }
  if (typeof e !== "string" || (s !== undefined && !isCount(s))) return undefined
  if (!isList(p, isPublished) || !isList(m, isText) || !isList(g, isSignal)) return undefined
  if (s === undefined ? p !== undefined || m !== undefined : !isText(k)) return undefined
  if (b !== undefined && !isText(b)) return undefined
  return { epoch: e, seq: s, mark: isText(k) ? k : "", before: b, published: p ?? none, changed: m ?? none, signals: g ?? none }
}

const isText = (value: unknown): value is string => typeof value === "string"

export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const isList = <A>(value: unknown, is: (element: unknown) => element is A): value is ReadonlyArray<A> | undefined =>
  value === undefined || (Array.isArray(value) && value.every(is))

const isPublished = (value: unknown): value is readonly [number, string, string, string] =>
  Array.isArray(value) && value.length === 4 && isCount(value[0]) && isText(value[1]) && isText(value[2]) && isText(value[3])

const isSignal = (value: unknown): value is readonly [string, string, string] =>
  Array.isArray(value) && value.length === 3 && value.every(isText)

/** A kept publication's key and payload. */
export const parseBody = (offset: number, body: string): Entry | undefined => {
  let value: unknown
  try {
    value = JSON.parse(`[${body}]`)
  } catch {
    return undefined
  }
  return Array.isArray(value) && value.length === 2 && isText(value[0]) && isText(value[1])
    ? { offset, key: value[0], payload: value[1] }
    : undefined
}
