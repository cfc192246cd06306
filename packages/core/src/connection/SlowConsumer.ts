/**
 * What becomes of messages that a peer does not take fast enough: writers whose
 * senders do not wait for it (`slowConsumer`). Which one a connection has is decided
 * when it is made, so that a message costs no question.
 *
 * A message that is dropped was never encoded, so a compressor's window knows nothing
 * of it; and nothing is ever dropped of what was begun: no frame, no fragment, no
 * control frame. What is kept for later belongs to the connection: since nobody waits,
 * bytes that would go out uncopied are copied first.
 */
import * as Effect from "effect/Effect"
import { Prepared, type Sendable } from "../Message.ts"
import type { Link } from "./Link.ts"
import { type Attempt, type SendError, type Waiter, Writer } from "./Writer.ts"

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
      return new CloseSlow(link, slowConsumer.close)
  }
}

abstract class ImpatientWriter extends Writer {
  private count = 0

  override get dropped(): number {
    return this.count
  }

  protected drop(): void {
    this.count++
  }

  override sendNow(message: Sendable): Effect.Effect<void, SendError> {
    return this.offer(this.plain(message))
  }

  override sendAllNow(messages: ReadonlyArray<Sendable>): Effect.Effect<void, SendError> {
    return this.offerFrom(messages, 0)
  }

  private offerFrom(messages: ReadonlyArray<Sendable>, from: number): Effect.Effect<void, SendError> {
    for (let at = from; at < messages.length; at++) {
      const sent = this.sendNow(messages[at])
      if (sent !== Effect.void) {
        return at + 1 === messages.length ? sent : Effect.flatMap(sent, () => this.offerFrom(messages, at + 1))
      }
    }
    return Effect.void
  }

  /** A prepared message only where it is sent as it was prepared. */
  private plain(message: Sendable): Sendable {
    return message instanceof Prepared && !this.link.protocol.outbound.shares(message) ? message.message : message
  }

  protected offer(message: Sendable): Effect.Effect<void, SendError> {
    const isFull = this.isFull
    if (!this.link.isOpen) return this.fail()
    return isFull ? this.onFull(message) : this.accept(message)
  }

  /** Above the mark: what becomes of the message. */
  protected abstract onFull(message: Sendable): Effect.Effect<void, SendError>

  /** Below the mark: nothing but the turn of others, or the event loop's, is waited for. */
  protected accept(message: Sendable): Effect.Effect<void, SendError> {
    const { link } = this
    if (this.hasWaiting || link.streaming || this.isSliced(message) || link.isTurnOver) {
      return super.sendNow(message)
    }
    const defect = this.encode(this.owned(message))
    return defect === undefined ? Effect.void : Effect.die(defect.defect)
  }

  /** Whether more is buffered than the mark allows, even after a flush. */
  get isFull(): boolean {
    const { link } = this
    const mark = link.limits.outboundHighWaterMark
    if (link.bufferedBytes < mark) return false
    link.flush()
    return link.bufferedBytes >= mark
  }

  /** A message that the caller may change from now on. */
  private owned(message: Sendable): Sendable {
    // Not `slice`: on a Node Buffer it makes a view.
    return !(message instanceof Prepared) && this.isUncopied(message) ? Uint8Array.from(message) : message
  }

  protected isSliced(message: Sendable): boolean {
    return !(message instanceof Prepared) && this.link.protocol.outbound.isSliced(message)
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

class CloseSlow extends ImpatientWriter {
  private readonly code: number

  constructor(link: Link, code: number) {
    super(link)
    this.code = code
  }

  protected onFull(): Effect.Effect<void, SendError> {
    // Behind what waits already; a peer that does not take that either is cut at the
    // close deadline.
    this.link.close(this.code, "too slow")
    return this.fail()
  }
}

// A message costs an entry in an array besides its payload.
const messageCharge = 64

const weigh = (message: Sendable): number =>
  (message instanceof Prepared ? message.message : message).length + messageCharge

/** What its caller cannot change any more. */
const kept = (message: Sendable): Sendable => message instanceof Uint8Array ? Uint8Array.from(message) : message

class DropOldest extends ImpatientWriter {
  protected override offer(message: Sendable): Effect.Effect<void, SendError> {
    const isFull = this.isFull
    const { link, queue } = this
    if (!link.isOpen) return this.fail()
    // Encoded slice by slice, it could not be kept whole for later.
    if (this.isSliced(message)) return super.accept(message)
    const last = queue[queue.length - 1]
    return isFull || last instanceof Backlog ? this.onFull(message) : this.accept(message)
  }

  protected onFull(message: Sendable): Effect.Effect<void, SendError> {
    let backlog = this.queue[this.queue.length - 1]
    if (!(backlog instanceof Backlog)) this.enqueue(backlog = new Backlog(this, this.link))
    const newest = kept(message)
    ;(backlog as Backlog).messages.push(newest)
    const { link } = this
    link.keptBack += weigh(newest)
    // As much again as the mark.
    while (link.keptBack > link.limits.outboundHighWaterMark && this.dropOldest(newest));
    link.account()
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

  /** A message left the backlog. */
  taken(message: Sendable): void {
    this.link.keptBack -= weigh(message)
  }

  override beforeClose(): void {
    if (this.link.streaming) return
    for (const waiter of this.queue) {
      // What somebody waits for was not accepted, and would come before the rest.
      if (!(waiter instanceof Backlog)) return
      waiter.sendAll(() => false)
    }
  }
}

/** Messages that wait in the queue as one of its senders, so that the order is one. */
class Backlog implements Waiter {
  readonly messages: Array<Sendable> = []
  private readonly writer: DropOldest
  private readonly link: Link

  constructor(writer: DropOldest, link: Link) {
    this.writer = writer
    this.link = link
  }

  readonly attempt = (): Attempt =>
    this.sendAll(() => this.link.streaming || this.link.isTurnOver || this.writer.isFull)

  /** Sends until something `holds` it up. */
  sendAll(holds: () => boolean): Attempt {
    const { link, messages, writer } = this
    while (messages.length > 0) {
      if (link.isOpen && holds()) return "wait"
      if (!link.isOpen) return "closed"
      const message = messages.shift()!
      writer.taken(message)
      // Its sender is gone, so an extension's defect is nobody's but the connection's.
      if (writer.encode(message) !== undefined) link.close(1011, "a message could not be encoded")
    }
    return "accepted"
  }

  // Nobody waits.
  resume(): void {}
}
