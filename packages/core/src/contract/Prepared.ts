/** A value that is encoded once for each codec and sent on many connections. */
import * as Effect from "effect/Effect"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as Message from "../Message.ts"
import type { Any, Side } from "./Definition.ts"

const TypeId: unique symbol = Symbol.for("@effect-ws/core/Contract/Prepared")

/** Whether a value was prepared: asked of each value, also in pages that prepare none and do not load what does. */
export const isPrepared = <A>(value: A | Prepared<A>): value is Prepared<A> =>
  typeof value === "object" && value !== null && TypeId in value

export class Prepared<out A> {
  readonly [TypeId]: typeof TypeId = TypeId
  readonly contract: Any
  readonly value: A
  readonly #messages = new Map<string, Message.Prepared>()

  constructor(contract: Any, value: A) {
    this.contract = contract
    this.value = value
  }

  /** The message in the codec of a connection. */
  messageFor(side: Side): Effect.Effect<Message.Prepared, SchemaIssue.Issue, unknown> {
    const known = this.#messages.get(side.subprotocol)
    if (known !== undefined) return Effect.succeed(known)
    if (side.contract !== this.contract) {
      return Effect.die(new Error(`A value that was prepared for ${this.contract.name} was sent as ${side.subprotocol}`))
    }
    return Effect.mapEager(side.outgoing.encode(this.value), (encoded) => {
      const message = Message.prepare(encoded)
      this.#messages.set(side.subprotocol, message)
      return message
    })
  }
}
