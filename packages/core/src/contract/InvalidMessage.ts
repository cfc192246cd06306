/** A message that does not match its contract; the error does not contain its content. */
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import type { Refused } from "./Codec.ts"

/**
 * The peer sent a message that does not match the contract.
 *
 * **Details**
 *
 * - `code`: the Close's code, unless the connection goes on. 1007: the message is not of the
 *   codec. 1008: its value does not match the Schema.
 * - `path`: where in the value, such as `people[2].name`; empty for the value itself.
 * - `reason`: the Close's reason, which the peer sees.
 * - `detail`: the first line of the Schema's report, `cause`. It does not repeat the content of the
 *   message, except where an annotation of a Schema does.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidMessage extends Schema.TaggedError<InvalidMessage>("@effect-ws/core/Contract/InvalidMessage")(
  "InvalidMessage",
  {
    subprotocol: Schema.String,
    code: Schema.Literals([1007, 1008]),
    path: Schema.String,
    cause: Schema.optional(Schema.Defect())
  }
) {
  override get message() {
    return `${this.reason} (${this.subprotocol})`
  }

  /** The Close's reason, which the peer sees: ASCII, at most 123 bytes. */
  get reason(): string {
    if (this.code === 1007) return "the message is not in the codec of the subprotocol"
    return this.path === "" ? "invalid value" : cut(`invalid value at ${this.path}`)
  }

  /** The Schema's report, for people. */
  get detail(): string {
    return this.cause instanceof Schema.SchemaError ? this.cause.message.split("\n", 1)[0] : this.reason
  }
}

// RFC 6455 §5.5: a control frame has 125 bytes, of which two are the code.
const cut = (reason: string): string => reason.length <= 123 ? reason : `${reason.slice(0, 120)}...`

export const invalidMessage = (subprotocol: string, refused: Refused): InvalidMessage =>
  refused === "syntax"
    ? new InvalidMessage({ subprotocol, code: 1007, path: "" })
    : new InvalidMessage({ subprotocol, code: 1008, path: pathOf(refused), cause: new Schema.SchemaError(refused) })

// The reason would cut a longer path anyway.
const longestPath = 256

/** The place of the first issue. */
export const pathOf = (issue: SchemaIssue.Issue): string => {
  let path = ""
  let at: SchemaIssue.Issue | undefined = issue
  while (at !== undefined && path.length < longestPath) {
    if (at._tag === "Pointer") for (const key of at.path) path += segment(key, path === "")
    at = "issue" in at ? at.issue : "issues" in at ? at.issues[0] : undefined
  }
  return path
}

const segment = (key: PropertyKey, isFirst: boolean): string => {
  if (typeof key === "number") return `[${key}]`
  const name = typeof key === "symbol" ? key.description ?? "" : key
  return `${isFirst ? "" : "."}${printable(name.slice(0, longestPath))}`
}

/** Keys may come from the peer, such as those of a record, so only letters, digits, `_` and `-` are repeated. */
const printable = (text: string): string => text.replace(/[^\w-]/gu, "?")
