/**
 * Writers whose senders do not wait for a slow peer (`slowConsumer`). The writer of a connection is
 * chosen when it is made, so that a message costs no decision.
 *
 * A dropped message was never encoded, so a compressor's window does not contain it. Nothing that
 * was begun is dropped: no frame, no fragment, no control frame. Messages that are kept belong to
 * the connection: no sender waits, so bytes that would be sent uncopied are copied first.
 */
import * as Effect from "effect/Effect"
import type { Limits } from "../Limits.ts"
import { Prepared, type Sendable } from "../Message.ts"
import type { Link } from "./Link.ts"
import type { Outcome, SendError, Waiter } from "./Sending.ts"
import { Writer } from "./Writer.ts"

type CloseWhenSlow = Extract<Limits["slowConsumer"], object>

/** The writer that the connection's options ask for. */
export const makeWriter = (link: Link): Writer => {
  const { slowConsumer } = link.limits
  switch (slowConsumer) {
    case "suspend":
      return new Writer(link)
    case "dropNewest":
      return new DropNewest(link)
    case "dropOldest":
      return new DropOldest(link)
    default:
      return new CloseSlow(link, slowConsumer)
  }
}

abstract class ImpatientWriter extends Writer {
  private count = 0

  override get dropped(): number {
    return this.count
  }

  /** A message that was accepted is not sent. */
  drop(): void {
    this.count++
  }

  protected override sendOr(message: Sendable, accepted: (() => void) | undefined): Effect.Effect<void, SendError> {
    if (!this.link.isOpen) return this.fail()
    const sent = this.give(message)
    if (accepted === undefined) return sent
    return Effect.tap(sent, () => Effect.sync(accepted))
  }

  override sendAllNow(messages: ReadonlyArray<Sendable>): Effect.Effect<void, SendError> {
    // As many as there is room for in one step.
    const next = this.sendRun(messages, 0)
    if (next > 0) this.onRoom()
    return this.giveFrom(messages, next)
  }

  /** Nothing is kept back, and there is room. */
  protected onRoom(): void {}

  private giveFrom(messages: ReadonlyArray<Sendable>, from: number): Effect.Effect<void, SendError> {
    for (let at = from; at < messages.length; at++) {
      const sent = this.sendNow(messages[at])
      if (sent !== Effect.void) {
        return at + 1 === messages.length ? sent : Effect.flatMap(sent, () => this.giveFrom(messages, at + 1))
      }
    }
    return Effect.void
  }

  override push(messages: ReadonlyArray<Sendable>, from: number): number {
    for (let at = from; at < messages.length; at++) {
      // An effect that waits and has not run: nothing is accepted yet.
      if (!this.link.isOpen || this.link.isSliced(messages[at]) || this.sendNow(messages[at]) !== Effect.void) return at
    }
    return messages.length
  }

  protected give(message: Sendable): Effect.Effect<void, SendError> {
    const isFull = this.link.isAboveMark
    if (!this.link.isOpen) return this.fail()
    return isFull ? this.onFull(message) : this.accept(message)
  }

  /** Above the mark: decides about the message. */
  protected abstract onFull(message: Sendable): Effect.Effect<void, SendError>

  /** Below the mark: waits only for the turn of other senders, or of the event loop. */
  protected accept(message: Sendable): Effect.Effect<void, SendError> {
    const { link } = this
    if (this.hasWaiting || this.link.isSliced(message) || link.isTurnOver) {
      return super.sendOr(message, undefined)
    }
    const thrown = this.encode(this.link.owned(message))
    return thrown === undefined ? Effect.void : Effect.die(thrown.defect)
  }

  encode(message: Sendable): { readonly defect: unknown } | undefined {
    try {
      this.link.protocol.send(message)
    } catch (defect) {
      return { defect }
    }
    this.link.scheduleFlush()
    return undefined
  }
}

class DropNewest extends ImpatientWriter {
  protected onFull(): Effect.Effect<void, SendError> {
    this.drop()
    return Effect.void
  }
}

// A message costs an entry in an array besides its payload.
const messageCharge = 64

const weigh = (message: Sendable): number =>
  (message instanceof Prepared ? message.message : message).length + messageCharge

/** A message that its caller cannot change any more. */
const kept = (message: Sendable): Sendable => message instanceof Uint8Array ? Uint8Array.from(message) : message

/** A writer that keeps messages back above the mark, so that no sender waits. */
abstract class KeepingWriter extends ImpatientWriter {
  protected override give(message: Sendable): Effect.Effect<void, SendError> {
    const isFull = this.link.isAboveMark
    const { link, queue } = this
    if (!link.isOpen) return this.fail()
    // Encoded slice by slice, it could not be kept whole for later.
    if (this.link.isSliced(message)) return super.accept(message)
    if (isFull || queue[queue.length - 1] instanceof Backlog) return this.onFull(message)
    this.onRoom()
    return this.accept(message)
  }

  protected onFull(message: Sendable): Effect.Effect<void, SendError> {
    let backlog = this.queue[this.queue.length - 1]
    if (!(backlog instanceof Backlog)) this.enqueue(backlog = new Backlog(this))
    const newest = kept(message)
    ;(backlog as Backlog).messages.push(newest)
    this.link.keptBack += weigh(newest)
    const judged = this.judge(newest)
    this.link.account()
    return judged
  }

  /** A message was kept back: is it too much? */
  protected abstract judge(newest: Sendable): Effect.Effect<void, SendError>

  /** A message left the backlog. */
  taken(message: Sendable): void {
    this.link.keptBack -= weigh(message)
  }

  override beforeClose(): void {
    if (this.isStreaming) return
    for (const waiter of this.queue) {
      // A sender waits for this message, which was not accepted and would overtake the rest.
      if (!(waiter instanceof Backlog)) return
      waiter.sendAll(() => false)
    }
  }
}

class DropOldest extends KeepingWriter {
  protected judge(newest: Sendable): Effect.Effect<void, SendError> {
    // As much again as the mark.
    while (this.link.keptBack > this.link.limits.outboundHighWaterMark && this.dropOldest(newest));
    return Effect.void
  }

  private dropOldest(newest: Sendable): boolean {
    for (const waiter of this.queue) {
      if (!(waiter instanceof Backlog) || waiter.messages.length === 0) continue
      if (waiter.messages.length === 1 && waiter.messages[0] === newest) return false
      this.taken(waiter.messages.shift()!)
      this.drop()
      return true
    }
    return false
  }
}

/** Closes a connection whose peer was too slow for some time, or for too much. */
class CloseSlow extends KeepingWriter {
  private readonly policy: CloseWhenSlow
  // Since when more waits than the mark allows.
  private since: number | undefined

  constructor(link: Link, policy: CloseWhenSlow) {
    super(link)
    this.policy = policy
  }

  protected override onRoom(): void {
    this.since = undefined
  }

  protected judge(): Effect.Effect<void, SendError> {
    const { link, policy } = this
    const now = link.deadlines.now()
    this.since ??= now
    if (now - this.since < policy.after && link.keptBack <= policy.maxBytes) return Effect.void
    // Messages that are kept back are lost with it: a peer this slow would keep them waiting for long.
    link.close(policy.close, "too slow")
    return this.fail()
  }

  // Its sender has been told, and so does the way in which it closes.
  override drop(): void {}

  override beforeClose(): void {
    if (this.link.isOpen) super.beforeClose()
  }
}

/** Messages that wait in the queue as one of its senders, so that there is one order. */
class Backlog implements Waiter {
  readonly messages: Array<Sendable> = []
  private readonly writer: KeepingWriter

  constructor(writer: KeepingWriter) {
    this.writer = writer
  }

  readonly attempt = (): Outcome => {
    const { writer } = this
    const { link } = writer
    return this.sendAll(() => writer.isStreaming || link.isTurnOver || link.isAboveMark)
  }

  /** Sends until something `holds` it up. */
  sendAll(holds: () => boolean): Outcome {
    const { messages, writer } = this
    const { link } = writer
    while (messages.length > 0) {
      if (link.isOpen && holds()) return "wait"
      if (!link.isOpen) return this.lose()
      const message = messages.shift()!
      writer.taken(message)
      // Its sender does not wait any more, so an extension's defect ends the connection.
      if (writer.encode(message) !== undefined) link.close(1011, "a message could not be encoded")
    }
    return "accepted"
  }

  /** It closed before what is left was sent. No sender waits, so that the counter and the way it closed tell. */
  private lose(): Outcome {
    const { messages, writer } = this
    writer.link.lose()
    for (const message of messages.splice(0)) {
      writer.taken(message)
      writer.drop()
    }
    return "closed"
  }

  // No sender waits.
  resume(): void {}
}
