/** Turns messages into values and values into messages, one by one, and handles invalid messages. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as Stream from "effect/Stream"
import type { Message, Sendable } from "../Message.ts"
import type { WebSocket } from "../WebSocket.ts"
import type { Refused } from "./Codec.ts"
import type { Side } from "./Definition.ts"
import { type InvalidMessage, invalidMessage } from "./InvalidMessage.ts"
import { isPrepared, type Prepared } from "./Prepared.ts"

/** Whether an effect has succeeded already: most Schemas need no fiber. */
const isDone = <A, E, R>(effect: Effect.Effect<A, E, R>): effect is Exit.Success<A, never> =>
  Exit.isExit(effect) && Exit.isSuccess(effect)

/** A value that is nested too deeply for a recursive Schema overflows the stack. */
const isTooDeep = (defect: unknown): boolean => defect instanceof RangeError

/** What happens after an invalid message: the connection is closed, or the message is skipped and reported. */
export type OnInvalid = "close" | ((error: InvalidMessage) => Effect.Effect<void>)

export class Values<In, Out> {
  readonly side: Side
  // The services of the Schemas.
  readonly #context: Context.Context<never>

  constructor(side: Side, context: Context.Context<never>) {
    this.side = side
    this.#context = context
  }

  /** One message as a value. */
  decode(message: Message): Effect.Effect<In, InvalidMessage> {
    let decoded: Effect.Effect<unknown, Refused, unknown>
    try {
      decoded = this.side.incoming.decode(message)
    } catch (defect) {
      return this.#refused(Cause.die(defect))
    }
    // The Schema is the contract's.
    return (isDone(decoded)
      ? decoded
      : Effect.catchCause(Effect.provideContext(decoded, this.#context), (cause) => this.#refused(cause))) as Effect.Effect<In, InvalidMessage>
  }

  #refused(cause: Cause.Cause<Refused>): Effect.Effect<never, InvalidMessage> {
    const reason = cause.reasons.find((reason) => reason._tag === "Fail" || (reason._tag === "Die" && isTooDeep(reason.defect)))
    if (reason === undefined) return Effect.failCause(cause as Cause.Cause<never>)
    return Effect.fail(invalidMessage(this.side.subprotocol, reason._tag === "Fail" ? reason.error : "syntax"))
  }

  /** A value as a message. */
  encode(value: Out | Prepared<Out>): Effect.Effect<Sendable, Schema.SchemaError> {
    const encoded: Effect.Effect<Sendable, SchemaIssue.Issue, unknown> = isPrepared(value)
      ? value.messageFor(this.side)
      : this.side.outgoing.encode(value)
    return isDone(encoded)
      ? encoded
      : Effect.mapError(Effect.provideContext(encoded, this.#context), (issue) => new Schema.SchemaError(issue)) as Effect.Effect<
        Sendable,
        Schema.SchemaError
      >
  }

  /** Encodes values in order, and adds the messages to a list. Fails with the first value that cannot be encoded. */
  encodeInto(messages: Array<Sendable>, values: Iterable<Out | Prepared<Out>>): Effect.Effect<void, Schema.SchemaError> {
    const encode = (value: Out | Prepared<Out>) => this.encode(value)
    return Effect.gen(function*() {
      for (const value of values) {
        const encoded = encode(value)
        messages.push(isDone(encoded) ? encoded.value : yield* encoded)
      }
    })
  }

  /** All messages as values, or why they are not valid. */
  results<E>(messages: Stream.Stream<Message, E>): Stream.Stream<Result.Result<In, InvalidMessage>, E> {
    return oneByOne(messages, (message) => Effect.map(Effect.result(this.decode(message)), arrayOf))
  }

  /** All messages as values. `onInvalid` gets the error of each that is not valid; failing, it ends the stream. */
  values<E, E2>(
    messages: Stream.Stream<Message, E>,
    onInvalid: (error: InvalidMessage) => Effect.Effect<void, E2>
  ): Stream.Stream<In, E | E2> {
    return oneByOne(messages, (message, next) => {
      const decoded = this.decode(message)
      return isDone(decoded)
        ? Effect.succeed(arrayOf(decoded.value))
        : Effect.catch(Effect.map(decoded, arrayOf), (error) => Effect.andThen(onInvalid(error), next))
    })
  }
}

const arrayOf = <A>(value: A): readonly [A] => [value]

/** Takes one message after the other, although several may come at once: what becomes of one is told before the next. */
const oneByOne = <A, E, E2>(
  messages: Stream.Stream<Message, E>,
  take: (
    message: Message,
    next: Pull.Pull<NonEmptyReadonlyArray<A>, E | E2>
  ) => Pull.Pull<NonEmptyReadonlyArray<A>, E | E2>
): Stream.Stream<A, E | E2> =>
  Stream.transformPull(messages, (pull) =>
    Effect.sync(() => {
      let batch: ReadonlyArray<Message> = []
      let at = 0
      const next: Pull.Pull<NonEmptyReadonlyArray<A>, E | E2> = Effect.suspend(() =>
        at < batch.length ? take(batch[at++], next) : more
      )
      const more = Effect.flatMap(pull, (messages) => {
        batch = messages
        at = 1
        return take(messages[0], next)
      })
      return next
    }))

/** Begins to close a connection whose peer broke the contract. Nothing waits for the peer's answer. */
export const refuse = (ws: WebSocket, error: InvalidMessage): Effect.Effect<never, InvalidMessage> =>
  Effect.andThen(
    Effect.forkDetach(Effect.ignore(ws.close(error.code, error.reason)), { startImmediately: true }),
    Effect.fail(error)
  )
