/**
 * From a stream into a connection. What comes from the messages of one straight into another
 * is sent on the stack of what brought it, as long as there is room, and the fiber that runs
 * the stream is not woken: that costs a microsecond, more than all the rest of an echo of one
 * small message, the system's part aside (measured: 0.6 instead of 1.6 µs).
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Pull from "effect/Pull"
import type * as Sink from "effect/Sink"
import type { Sendable } from "../Message.ts"
import { type Batch, Reader } from "./Reader.ts"
import type { SendError, Writer } from "./Writer.ts"

/** Whether what came is to be waited for by the fiber, or is the end. */
const isDue = (reader: Reader): boolean => (reader.waitsWith as Pump).move()

type Sent = Effect.Effect<void, SendError>

/**
 * Sends what the reader gets until that has to be waited for, and succeeds with the effect
 * of waiting; with `undefined` where nothing comes any more, an error included. Both are the
 * fiber's own business.
 */
class Pump extends Effectable.Class<Sent | undefined> {
  private readonly reader: Reader
  private readonly writer: Writer
  private readonly upstream: Upstream
  // What the fiber is woken for.
  private sent: Sent | undefined
  private isMoving = false

  constructor(reader: Reader, writer: Writer, upstream: Upstream) {
    super()
    this.reader = reader
    this.writer = writer
    this.upstream = upstream
  }

  /** Goes on to the end. Bound, as in `Reader`. */
  get drained(): Drained {
    return Effect.flatMap(this, this.next.bind(this))
  }

  private next(sent: Sent | undefined): Drained {
    return sent === undefined ? drainBatches(this.writer, this.upstream) : Effect.flatMap(sent, () => this.drained)
  }

  override asEffect(): Effect.Effect<Sent | undefined> {
    const { reader, sent } = this
    if (sent !== undefined) {
      this.sent = undefined
      return Effect.succeed(sent)
    }
    const busy = reader.busy()
    if (busy !== undefined) return busy
    while (reader.hasMessage()) {
      const sent = this.writer.sendAllNow(reader.takeBatch())
      if (sent !== Effect.void) return Effect.succeed(sent)
    }
    return reader.atEnd ? Effect.undefined : reader.wait(isDue, this)
  }

  /** What a transport or its primitives throw is the fiber's, not of who brought the messages. */
  private send(batch: Batch): Sent {
    try {
      return this.writer.sendAllNow(batch)
    } catch (defect) {
      return Effect.die(defect)
    }
  }

  /** Sends what came while the fiber waits; whether that is to go on. */
  move(): boolean {
    // A transport may bring something, or end, while it is written to.
    if (this.isMoving) return false
    const { reader } = this
    this.isMoving = true
    try {
      while (reader.hasWaiting) {
        const sent = this.send(reader.takeBatch())
        // What that led to may have interrupted the fiber.
        if (reader.waitsWith !== this) return false
        if (sent !== Effect.void) {
          this.sent = sent
          return true
        }
        reader.waitOn()
        // So may a Pong that was left to be read.
        if (reader.waitsWith !== this) return false
      }
      return reader.atEnd
    } finally {
      this.isMoving = false
    }
  }
}

// `Stream.run` gives a sink its upstream inside of `Effect.catchCause`, which changes failures
// only. How that keeps what it is made of is Effect's own business, so it is looked for; where
// it is not found, nothing is pumped.
const plain = Effect.sync(() => {})
const caught: object = Effect.catchCause(plain, Effect.failCause)
const inside = Object.keys(caught).find((key) => caught[key as never] === plain)
const caughtPrototype = Object.getPrototypeOf(caught)

/**
 * The reader whose batches `upstream` is, whatever it makes of failures and of the end;
 * `undefined` if there is anything else in between.
 */
export const readerUnder = (upstream: object): Reader | undefined => {
  if (inside === undefined) return undefined
  let under: unknown = upstream
  while (typeof under === "object" && under !== null && Object.getPrototypeOf(under) === caughtPrototype) {
    under = under[inside as never]
  }
  return under instanceof Reader ? under : undefined
}

export type Upstream = Pull.Pull<NonEmptyReadonlyArray<Sendable>>
export type Drained = Effect.Effect<Sink.End<void>, SendError>

/** Sends all that a stream brings. */
export const drain = (writer: Writer, upstream: Upstream): Drained => {
  const reader = readerUnder(upstream)
  return reader === undefined ? drainBatches(writer, upstream) : new Pump(reader, writer, upstream).drained
}

/** The same by the fiber: one effect, which each batch goes through, and one frame on its stack while it waits. */
const drainBatches = (writer: Writer, upstream: Upstream): Drained => {
  const next: Drained = Effect.matchCauseEffect(upstream, {
    onSuccess: (messages) => {
      const sent = writer.sendAllNow(messages)
      return sent === Effect.void ? next : Effect.flatMap(sent, () => next)
    },
    onFailure: atEnd
  })
  return next
}

const ended: Effect.Effect<Sink.End<void>> = Effect.succeed([undefined])

const atEnd = (cause: Cause.Cause<SendError | Cause.Done>): Drained =>
  Pull.isDoneCause(cause) ? ended : Effect.failCause(cause as Cause.Cause<SendError>)
