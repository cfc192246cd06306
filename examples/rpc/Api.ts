/**
 * The service, shared by the server, the client on Node and the page: its calls as Schemas, so that
 * all three exchange values and none writes a message by hand.
 */
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"

/** The server does not factor this number. */
export class NotFactored extends Schema.TaggedError<NotFactored>()("NotFactored", {
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** The state of the server's process at one moment. */
export class Vitals extends Schema.Class<Vitals>("Vitals")({
  /** Milliseconds since 1970. */
  at: Schema.Finite,
  /** Of one core. */
  cpuPercent: Schema.Finite,
  heapMiB: Schema.Finite,
  /** WebSockets that are open, the caller's included. */
  connections: Schema.Int
}) {}

export class Api extends RpcGroup.make(
  /** Unary: one question, one answer, or a typed error. */
  Rpc.make("Factor", {
    payload: { n: Schema.BigInt },
    success: Schema.Array(Schema.BigInt),
    error: NotFactored
  }),
  /** Streaming: continues until the caller ends it. */
  Rpc.make("Watch", {
    payload: { everyMillis: Schema.Int.check(Schema.isBetween({ minimum: 50, maximum: 10_000 })) },
    success: Vitals,
    stream: true
  })
) {}
