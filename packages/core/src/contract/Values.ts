/** Turns messages into values and values into messages, one by one, and handles invalid messages. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import type * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as Stream from "effect/Stream"
import type { Message, Sendable } from "../Message.ts"
import type { WebSocket } from "../WebSocket.ts"
import type { Refused } from "./Codec.ts"
import type { Side } from "./Definition.ts"
import { type InvalidMessage, invalidMessage } from "./InvalidMessage.ts"
import { isPrepared, type Prepared } from "./Prepared.ts"

/** The result of an effect that is done already: most Schemas need no fiber. */
const exitOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(effect) ? effect as Exit.Exit<A, E> : undefined

/** A value that is nested too deeply for a recursive Schema overflows the stack. */
const isTooDeep = (defect: unknown): boolean => defect instanceof RangeError

/** What happens after an invalid message: the connection is closed, or the message is skipped and reported. */
export type OnInvalid = "close" | ((error: InvalidMessage) => Effect.Effect<void>)

export class Values<In, Out> {
  readonly side: Side
  // The services of the Schemas.
  private readonly context: Context.Context<never>

  constructor(side: Side, context: Context.Context<never>) {
    this.side = side
    this.context = context
  }

  /** One message as a value. */
  decode(message: Message): Effect.Effect<In, InvalidMessage> {
    let decoded: Effect.Effect<unknown, Refused, unknown>
    try {
      decoded = this.side.incoming.decode(message)
    } catch (defect) {
      return this.refused(Cause.die(defect))
    }
    const exit = exitOf(decoded)
    if (exit === undefined) {
      return Effect.catchCause(Effect.provideContext(decoded, this.context), (cause) => this.refused(cause)) as Effect.Effect<In, InvalidMessage>
    }
    return Exit.isSuccess(exit) ? exit as Exit.Exit<In> : this.refused(exit.cause)
  }

  private refused(cause: Cause.Cause<Refused>): Effect.Effect<never, InvalidMessage> {
    const reason = cause.reasons.find((reason) => reason._tag === "Fail" || (reason._tag === "Die" && isTooDeep(reason.defect)))
    if (reason === undefined) return Effect.failCause(cause as Cause.Cause<never>)
    return Effect.fail(invalidMessage(this.side.subprotocol, reason._tag === "Fail" ? reason.error : "syntax"))
  }

  /** A value as a message. */
  encode(value: Out | Prepared<Out>): Effect.Effect<Sendable, Schema.SchemaError> {
    const encoded: Effect.Effect<Sendable, SchemaIssue.Issue, unknown> = isPrepared(value)
      ? value.messageFor(this.side)
      : this.side.outgoing.encode(value)
    const exit = exitOf(encoded)
    if (exit !== undefined && Exit.isSuccess(exit)) return exit as Exit.Exit<Sendable>
    const provided = exit ?? Effect.provideContext(encoded, this.context) as Effect.Effect<Sendable, SchemaIssue.Issue>
    return Effect.mapErrorEager(provided, (issue) => new Schema.SchemaError(issue))
  }

  /** Encodes values until one cannot be encoded: the messages before it, and the error. */
  encodeAll(values: Iterable<Out | Prepared<Out>>): Effect.Effect<Encoded> {
    const messages: Array<Sendable> = []
    const iterator = values[Symbol.iterator]()
    const next = (): Effect.Effect<Encoded> => {
      for (let step = iterator.next(); step.done !== true; step = iterator.next()) {
        const encoded = this.encode(step.value)
        const exit = exitOf(encoded)
        if (exit !== undefined && Exit.isSuccess(exit)) messages.push(exit.value)
        else {
          return Effect.matchEffect(encoded, {
            onFailure: (error) => Effect.succeed({ messages, error }),
            onSuccess: (message) => {
              messages.push(message)
              return next()
            }
          })
        }
      }
      return Effect.succeed({ messages, error: undefined })
    }
    return Effect.suspend(next)
  }

  /** All messages as values, or why they are not valid. */
  results<E>(messages: Stream.Stream<Message, E>): Stream.Stream<Result.Result<In, InvalidMessage>, E> {
    return Stream.transformPull(messages, (pull) =>
      Effect.sync(() => new Decoding<In, Result.Result<In, InvalidMessage>, E, never>(this, pull, Result.succeed, Result.fail).next))
  }

  /** All messages as values. `onInvalid` gets the error of each that is not valid; failing, it ends the stream. */
  values<E, E2>(
    messages: Stream.Stream<Message, E>,
    onInvalid: (error: InvalidMessage) => Effect.Effect<void, E2>
  ): Stream.Stream<In, E | E2> {
    return Stream.transformPull(messages, (pull) =>
      Effect.sync(() => new Decoding<In, In, E, E2>(this, pull, identity, (error) => new Told(onInvalid(error))).next))
  }
}

/** Handles an invalid message outside of a stream. */
class Told<E> {
  readonly effect: Effect.Effect<void, E>

  constructor(effect: Effect.Effect<void, E>) {
    this.effect = effect
  }
}

/** Decodes batches one message at a time: an invalid one takes effect after the values before it. */
class Decoding<In, B, E, E2> {
  private readonly values: Values<In, never>
  private readonly pulled: Pull.Pull<NonEmptyReadonlyArray<B>, E | E2>
  private readonly good: (value: In) => B
  private readonly bad: (error: InvalidMessage) => B | Told<E2>
  private batch: ReadonlyArray<Message> = []
  private at = 0
  private decoded: Array<B> = []
  private told: Told<E2> | undefined

  constructor(
    values: Values<In, never>,
    pull: Pull.Pull<NonEmptyReadonlyArray<Message>, E>,
    good: (value: In) => B,
    bad: (error: InvalidMessage) => B | Told<E2>
  ) {
    this.values = values
    this.pulled = Effect.flatMap(pull, this.begin)
    this.good = good
    this.bad = bad
  }

  private readonly begin = (batch: NonEmptyReadonlyArray<Message>): Pull.Pull<NonEmptyReadonlyArray<B>, E | E2> => {
    if (batch.length === 1) {
      const exit = exitOf(this.values.decode(batch[0]))
      if (exit !== undefined && Exit.isSuccess(exit)) return Effect.succeed([this.good(exit.value)])
    }
    this.batch = batch
    this.at = 0
    return this.decodeOn()
  }

  readonly next: Pull.Pull<NonEmptyReadonlyArray<B>, E | E2> = Effect.suspend(() => {
    const { told } = this
    if (told !== undefined) {
      this.told = undefined
      return Effect.andThen(told.effect, this.next)
    }
    return this.at < this.batch.length ? this.decodeOn() : this.pulled
  })

  private decodeOn(): Pull.Pull<NonEmptyReadonlyArray<B>, E | E2> {
    while (this.at < this.batch.length && this.told === undefined) {
      const decoding = this.values.decode(this.batch[this.at])
      const exit = exitOf(decoding)
      if (exit !== undefined && Exit.isSuccess(exit)) {
        this.decoded.push(this.good(exit.value))
        this.at++
        continue
      }
      // A value that takes long to decode does not delay the values before it.
      if (this.decoded.length > 0) break
      this.at++
      return Effect.flatMap(Effect.result(decoding), (result) => {
        if (Result.isSuccess(result)) this.decoded.push(this.good(result.success))
        else {
          const refused = this.bad(result.failure)
          if (refused instanceof Told) this.told = refused
          else this.decoded.push(refused)
        }
        return this.handOut()
      })
    }
    return this.handOut()
  }

  private handOut(): Pull.Pull<NonEmptyReadonlyArray<B>, E | E2> {
    const { decoded } = this
    if (decoded.length === 0) return this.next
    this.decoded = []
    return Effect.succeed(decoded as unknown as NonEmptyReadonlyArray<B>)
  }
}

interface Encoded {
  readonly messages: ReadonlyArray<Sendable>
  readonly error: Schema.SchemaError | undefined
}

/** Begins to close a connection whose peer broke the contract. Nothing waits for the peer's answer. */
export const refuse = (ws: WebSocket, error: InvalidMessage): Effect.Effect<never, InvalidMessage> =>
  Effect.andThen(
    Effect.forkDetach(Effect.ignore(ws.close(error.code, error.reason)), { startImmediately: true }),
    Effect.fail(error)
  )
