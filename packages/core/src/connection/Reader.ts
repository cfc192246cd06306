/**
 * The effects that read from a connection: batches, one message, and a message as a stream of
 * fragments (`Pieces`). There is one reader at a time. An interrupted wait loses nothing, because messages are
 * taken by the fiber that continues, not passed to one that waits.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Message } from "../Message.ts"
import { ConnectionClosed, type IOError, type ProtocolError } from "../WebSocketError.ts"
import type { Link } from "./Link.ts"
import type { IncomingMessage, PieceReader, ReceiveError } from "./Pieces.ts"

/** Messages that arrived together. */
export type Batch = NonEmptyReadonlyArray<Message>

// What a reader waits for. Shared functions, because every idle connection would hold its own.
const never = (): boolean => false
const messageReady = (reader: Reader): boolean => reader.hasMessageOrEnd

const anotherReads: Effect.Effect<never> = Effect.suspend(() =>
  Effect.die(new Error("Another fiber or a Stream already reads from this WebSocket; one connection has one reader at a time")))

/** The reader is also the effect that pulls a batch: an idle connection holds one object, not three. */
export class Reader extends Effectable.Class<Batch, ProtocolError | IOError | Cause.Done> implements PieceReader {
  readonly link: Link
  // The stream that reads, for as long as its scope is open.
  #owner: object | undefined
  /** There is a reader: it has begun to read and has not ended. */
  isReading = false
  /** It has reached the end of the connection. */
  hasEnded = false
  /** How many messages were delivered last. */
  handedOut = 0
  // The reader that waits: how it is woken, for what, and what it does then.
  #wake: ((next: Effect.Effect<never>) => void) | undefined
  #isReady: (reader: Reader) => boolean = never
  #next: Effect.Effect<unknown, unknown> = Effect.void

  constructor(link: Link) {
    super()
    this.link = link
  }

  /** A stream, or another effect that reads until it ends, is the reader. */
  get isOwned(): boolean {
    return this.#owner !== undefined
  }

  /** The reader waits for input. */
  get isWaiting(): boolean {
    return this.#wake !== undefined
  }

  /** Something arrived, or the end did. */
  onReadable(): void {
    if (this.#wake === undefined || !this.#isReady(this)) return
    const wake = this.#wake
    this.stopWaiting()
    wake(this.#next as Effect.Effect<never>)
  }

  /** Nothing waits any more. Messages that arrive are for the next reader. */
  stopWaiting(): void {
    if (this.#wake === undefined) return
    this.#wake = undefined
    this.link.demand("none")
  }

  /**
   * Suspends until `isReady`, then continues with `next`. Bound methods, here and below, because an
   * idle connection holds 48 bytes for each, and 96 for a closure and its context.
   */
  wait<A, E>(isReady: (reader: Reader) => boolean, next: Effect.Effect<A, E>): Effect.Effect<A, E> {
    this.#isReady = isReady
    this.#next = next
    return Effect.callback<never>(this.#begin.bind(this))
  }

  #begin(resume: (next: Effect.Effect<never>) => void): Effect.Effect<void> | undefined {
    const { link } = this
    // The fiber may have yielded before, and another one may wait.
    const busy = this.busy()
    if (busy !== undefined) {
      resume(busy)
      return undefined
    }
    this.#wake = resume
    link.afterRead()
    // Resuming may have delivered something at once.
    this.onReadable()
    return new Stopped(this)
  }

  /** What the waiting fiber does next. */
  get waitsWith(): Effect.Effect<unknown, unknown> | undefined {
    return this.#wake === undefined ? undefined : this.#next
  }

  /** A message waits, or none will come. */
  get hasMessageOrEnd(): boolean {
    return this.hasWaiting || this.atEnd
  }

  /** A message waits. */
  get hasWaiting(): boolean {
    return this.link.protocol.messages.length > 0
  }

  /** No message can follow those that wait. */
  get atEnd(): boolean {
    return this.link.hasEnding || !this.link.protocol.isOpen
  }

  get #closed(): ConnectionClosed {
    return new ConnectionClosed({ info: this.link.closeInfo })
  }

  busy(): Effect.Effect<never> | undefined {
    return this.#wake === undefined ? undefined : anotherReads
  }

  /** Whether a whole message waits; asks for one if not. */
  hasMessage(): boolean {
    const { link } = this
    this.isReading = true
    link.leaveFragments()
    // If more messages wait, their answers are written with earlier ones, at the end of this run of JavaScript.
    if (link.protocol.messages.length > 0) return true
    link.flushAnswers()
    link.demand("message")
    if (link.protocol.messages.length === 0) return false
    link.demand("none")
    return true
  }

  /** All messages that wait, or the next ones. Done at an orderly end. */
  get batch(): Pull.Pull<Batch, ProtocolError | IOError> {
    return this
  }

  override asEffect(): Pull.Pull<Batch, ProtocolError | IOError> {
    const busy = this.busy()
    if (busy !== undefined) return busy
    if (this.hasMessage()) return Effect.succeed(this.takeBatch())
    return this.atEnd ? this.#ended : this.wait(messageReady, this.batch)
  }

  /** What a reader of many messages has at their end. */
  get #ended(): Pull.Pull<never, ProtocolError | IOError> {
    this.reachEnd()
    const failure = this.link.readFailure
    return failure === undefined ? Cause.done() : Effect.fail(failure)
  }

  /** The messages that wait; there is one. */
  takeBatch(): Batch {
    const batch = this.link.protocol.takeMessages() as unknown as Batch
    this.handedOut = batch.length
    this.link.afterRead()
    return batch
  }

  /** The end is reached: it takes effect. */
  reachEnd(): void {
    this.hasEnded = true
    this.link.processEnd()
  }

  endOfReading(): Effect.Effect<never, ReceiveError> {
    this.reachEnd()
    return Effect.fail(this.link.readFailure ?? this.#closed)
  }

  /** The next message. */
  get receive(): Effect.Effect<Message, ReceiveError> {
    return Effect.suspend(() => this.#receiveNow())
  }

  #receiveNow(): Effect.Effect<Message, ReceiveError> {
    const busy = this.owned()
    if (busy !== undefined) return busy
    if (this.hasMessage()) {
      const message = this.link.protocol.takeMessage()
      this.handedOut = 1
      this.link.afterRead()
      return Effect.succeed(message)
    }
    return this.atEnd ? this.endOfReading() : this.wait(messageReady, this.receive)
  }

  owned(): Effect.Effect<never> | undefined {
    return this.#owner === undefined ? this.busy() : anotherReads
  }

  /** The next message as a stream of its fragments. */
  get receiveStream(): Effect.Effect<IncomingMessage, ReceiveError> {
    return Effect.suspend(() => this.link.receiveStream(this))
  }

  /**
   * A stream begins to read, by `pull`: it is the reader for as long as its scope is open. To
   * begin never fails: the first pull does.
   */
  enter<A>(scope: Scope.Scope, pull: Pull.Pull<A, ProtocolError | IOError>): Effect.Effect<Pull.Pull<A, ProtocolError | IOError>> {
    return Effect.suspend(() => {
      const busy = this.owned()
      if (busy !== undefined) return Effect.succeed(busy)
      this.#owner = scope
      this.isReading = true
      return Effect.as(Scope.addFinalizer(scope, Effect.sync(() => this.#leave(scope))), pull)
    })
  }

  #leave(owner: object): void {
    if (this.#owner !== owner) return
    this.#owner = undefined
    this.isReading = false
    this.link.readerLeft()
  }

  /** Runs an effect that is the reader until it ends. */
  alone<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const busy = this.owned()
      if (busy !== undefined) return busy
      const owner = {}
      this.#owner = owner
      this.isReading = true
      return Effect.ensuring(effect, Effect.sync(() => this.#leave(owner)))
    })
  }

  /** The next message, in an array of one. Done at an orderly end. */
  readonly one: Pull.Pull<Batch, ProtocolError | IOError> = new One(this)

  /** What {@link one} does when it runs. */
  takeOne(): Pull.Pull<Batch, ProtocolError | IOError> {
    const busy = this.busy()
    if (busy !== undefined) return busy
    if (this.hasMessage()) {
      const message = this.link.protocol.takeMessage()
      this.link.afterRead()
      return Effect.succeed([message])
    }
    return this.atEnd ? this.#ended : this.wait(messageReady, this.one)
  }

  /** Reads and drops all messages until the connection ends. */
  get drain(): Effect.Effect<void, ProtocolError | IOError> {
    return Stream.runForEachArray(this.batches, () => Effect.void)
  }

  /** All messages from now on, as the arrays in which they arrived. */
  get batches(): Stream.Stream<Batch, ProtocolError | IOError> {
    return streamOf((scope) => this.enter(scope, Effect.map(this.batch, (batch): readonly [Batch] => [batch])))
  }

  /** All messages from now on, one at a time. */
  get messages(): Stream.Stream<Message, ProtocolError | IOError> {
    return streamOf((scope) => this.enter(scope, this.one))
  }
}

const streamOf = <A>(
  enter: (scope: Scope.Scope) => Effect.Effect<Pull.Pull<NonEmptyReadonlyArray<A>, ProtocolError | IOError>>
): Stream.Stream<A, ProtocolError | IOError> =>
  Stream.fromChannel(Channel.fromTransform((_: unknown, scope: Scope.Scope) => enter(scope)))

/** The effect of pulling one message: for each connection one object, and none for each message. */
class One extends Effectable.Class<Batch, ProtocolError | IOError | Cause.Done> {
  readonly #reader: Reader

  constructor(reader: Reader) {
    super()
    this.#reader = reader
  }

  override asEffect(): Pull.Pull<Batch, ProtocolError | IOError> {
    return this.#reader.takeOne()
  }
}

/** The end of a wait that was interrupted. */
class Stopped extends Effectable.Class<void> {
  readonly #reader: Reader

  constructor(reader: Reader) {
    super()
    this.#reader = reader
  }

  override asEffect(): Effect.Effect<void> {
    this.#reader.stopWaiting()
    return Effect.void
  }
}
