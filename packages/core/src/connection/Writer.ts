/**
 * The effects that send on a connection. An accepted message is encoded at once and written with the
 * next write. Above the high-water mark senders wait for their turn, in order. A frame is appended
 * whole or not at all, so an interruption never leaves half a frame, and every wait can be
 * interrupted at once. A payload that the transport still reads remains the connection's.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import { bytesOf } from "../codec/Bytes.ts"
import { type Message, Prepared, type Sendable } from "../Message.ts"
import { ConnectionClosed } from "../WebSocketError.ts"
import type { Link } from "./Link.ts"
import { type Outcome, type SendError, Thrown, type Turns, type Waiter } from "./Sending.ts"

const noBytes = new Uint8Array(0)

// The empty queue: one array for all connections, never written to.
const nobody: Array<Waiter> = []

export class Writer implements Turns {
  readonly link: Link
  /** A message is being sent fragment by fragment, so other data must wait. */
  isStreaming = false
  protected queue = nobody
  // The sender of a streamed message goes before all others.
  private holder: Waiter | undefined
  private inFlight: Set<(effect: Effect.Effect<void, SendError>) => void> | undefined

  constructor(link: Link) {
    this.link = link
  }

  /** Messages that were dropped because the peer takes too little. */
  get dropped(): number {
    return 0
  }

  /** Whether a sender waits for a turn. */
  get hasWaiting(): boolean {
    return this.queue.length > 0 || this.holder !== undefined
  }

  /** Whether a new sender has its turn at once. */
  get isFree(): boolean {
    return this.queue.length === 0
  }

  /** The transport has taken the last write. */
  onTaken(): void {
    if (this.inFlight !== undefined) this.resumeAll(Effect.void)
  }

  private resumeAll(effect: Effect.Effect<void, SendError>): void {
    const waiting = this.inFlight!
    this.inFlight = undefined
    for (const resume of waiting) resume(effect)
  }

  /** There may be room, a turn has come, or nothing can be sent any more. */
  onWritable(): void {
    if (this.link.broken !== undefined || this.link.gone) {
      if (this.inFlight !== undefined) this.resumeAll(this.lost())
    }
    const { holder } = this
    if (holder !== undefined) {
      const outcome = holder.attempt()
      if (outcome !== "wait") {
        this.holder = undefined
        holder.resume(this.settle(outcome))
      }
    }
    let hasMoved = false
    while (this.queue.length > 0) {
      const waiter = this.queue[0]
      const outcome = waiter.attempt()
      if (outcome === "wait") break
      // An attempt that writes may find the transport closed, which ends all waiting senders.
      if (this.queue[0] !== waiter) continue
      this.dequeue(0)
      hasMoved = true
      waiter.resume(this.settle(outcome))
    }
    if (hasMoved && this.queue.length === 0) this.link.sendersMoved()
  }

  protected enqueue(waiter: Waiter): void {
    if (this.queue === nobody) this.queue = [waiter]
    else this.queue.push(waiter)
  }

  private dequeue(at: number): void {
    if (this.queue.length === 1) this.queue = nobody
    else if (at === 0) this.queue.shift()
    else this.queue.splice(at, 1)
  }

  /** Why nothing can be sent any more. */
  get error(): SendError {
    const { broken, closeInfo, protocol } = this.link
    return broken !== undefined && protocol.isOpen ? broken : new ConnectionClosed({ info: closeInfo })
  }

  /** What was accepted did not arrive. */
  private lost(): Effect.Effect<never, SendError> {
    return Effect.fail(this.link.broken ?? this.error)
  }

  fail(): Effect.Effect<never, SendError> {
    return Effect.fail(this.error)
  }

  /** The result of an attempt that is not repeated. */
  settle(outcome: Exclude<Outcome, "wait">): Effect.Effect<void, SendError> {
    if (outcome instanceof Thrown) return Effect.die(outcome.defect)
    switch (outcome) {
      case "accepted":
        return Effect.void
      case "closed":
        return this.fail()
      case "inFlight":
        // The transport reads from the caller's buffer, which belongs to the connection until then.
        return Effect.callback((resume) => {
          if (!this.link.isBlocked) {
            resume(this.link.broken !== undefined || this.link.gone ? this.lost() : Effect.void)
            return
          }
          const waiting = this.inFlight ??= new Set()
          waiting.add(resume)
          return Effect.sync(() => waiting.delete(resume))
        })
    }
  }

  /** Waits for the turn of `attempt`. */
  turn(attempt: () => Outcome): Effect.Effect<void, SendError> {
    return Effect.callback((resume) => {
      const waiter: Waiter = { attempt, resume }
      this.enqueue(waiter)
      // The fiber may have yielded since its first attempt and missed the moment.
      if (this.queue.length === 1) this.onWritable()
      return Effect.sync(() => {
        const at = this.queue.indexOf(waiter)
        // It had its turn and was not resumed yet.
        if (at === -1) return
        this.dequeue(at)
        // The next senders may be able to continue.
        this.onWritable()
        this.link.sendersMoved()
      })
    })
  }

  /** The same for the sender that holds the turn until its message ends. */
  holdersTurn(attempt: () => Outcome): Effect.Effect<void, SendError> {
    return Effect.callback((resume) => {
      const waiter: Waiter = { attempt, resume }
      this.holder = waiter
      this.onWritable()
      return Effect.sync(() => {
        if (this.holder === waiter) this.holder = undefined
      })
    })
  }

  private attempt(message: Sendable): Outcome {
    const { link } = this
    if (this.isStreaming && link.isOpen) return "wait"
    // Without an extension nothing can throw or take long.
    const payload = message instanceof Prepared ? noBytes : message
    if (link.transform !== undefined) return this.data(payload, () => link.protocol.send(message))
    const room = this.room(payload)
    if (room !== undefined) return room
    return link.protocol.send(message) === false ? this.untaken : this.sent(payload)
  }

  /** The platform's connection is closing: how, is not known before its event arrives. */
  get untaken(): "closed" | "wait" {
    return this.link.isOpen ? "wait" : "closed"
  }

  /** The same as {@link append} with an extension. */
  data(payload: Message, append: () => void): Outcome {
    return this.link.isOpen && this.link.isTurnOver ? "wait" : this.append(payload, append)
  }

  private append(payload: Message, append: () => void): Outcome {
    const room = this.room(payload)
    if (room !== undefined) return room
    try {
      append()
    } catch (defect) {
      // An exception of an extension or its options, which users write. It belongs to this sender, even if the
      // transport made this call.
      return new Thrown(defect)
    }
    return this.sent(payload)
  }

  /** Whether a payload cannot be appended now, and why. */
  private room(payload: Message): "closed" | "wait" | undefined {
    const { link } = this
    if (!link.isOpen) return "closed"
    if (this.isUncopied(payload)) {
      // Alone in its write, so that the caller's buffer is read for as short a time as possible.
      link.flush()
      if (link.isBlocked) return "wait"
    } else if (this.isAboveMark) {
      return "wait"
    }
    // The transport may have noticed while it wrote that it is closed.
    return link.isOpen ? undefined : "closed"
  }

  /** Whether more is buffered than the mark allows, even after a flush. */
  get isAboveMark(): boolean {
    const { link } = this
    const mark = link.limits.outboundHighWaterMark
    if (link.bufferedBytes < mark) return false
    link.flush()
    return link.bufferedBytes >= mark
  }

  /** A payload was appended: it is written with what follows in this run of JavaScript, or at once. */
  private sent(payload: Message): Outcome {
    const { link } = this
    if (!this.isUncopied(payload)) {
      link.scheduleFlush()
      return "accepted"
    }
    link.flush()
    return link.isBlocked ? "inFlight" : "accepted"
  }

  isUncopied(payload: Message): payload is Uint8Array {
    return typeof payload !== "string" && this.link.protocol.outbound.isUncopied(bytesOf(payload).length)
  }

  /** Whether a message is sent in slices, with turns of other code in between. */
  protected isSliced(message: Sendable): message is Message {
    return !(message instanceof Prepared) && this.link.protocol.outbound.isSliced(message)
  }

  /** A prepared message only where it is sent as it was prepared. */
  protected plain(message: Sendable): Sendable {
    return message instanceof Prepared && !this.link.protocol.outbound.shares(message) ? message.message : message
  }

  /** Sends a message; completes once it is accepted. */
  send(message: Sendable): Effect.Effect<void, SendError> {
    return new Send(this, message)
  }

  /** What a {@link Send} does when it runs. */
  sendNow(message: Sendable): Effect.Effect<void, SendError> {
    return this.sendOr(this.plain(message), undefined)
  }

  /** The same; `accepted` is called once the message is. */
  sendAnd(message: Sendable, accepted: () => void): Effect.Effect<void, SendError> {
    return this.sendOr(this.plain(message), accepted)
  }

  protected sendOr(message: Sendable, accepted: (() => void) | undefined): Effect.Effect<void, SendError> {
    // Only a link that has slices says that a message goes out in slices.
    if (this.isSliced(message)) return this.link.pieces.sendSliced!(this, message, accepted)
    const attempt = accepted === undefined ? () => this.attempt(message) : () => {
      const outcome = this.attempt(message)
      if (outcome === "accepted" || outcome === "inFlight") accepted()
      return outcome
    }
    const first = this.isFree ? attempt() : "wait"
    if (first === "accepted") return Effect.void
    return first === "wait" ? this.turn(attempt) : this.settle(first)
  }

  /** Sends messages in order; others' may come between them while they wait. */
  sendAll(messages: ReadonlyArray<Sendable>): Effect.Effect<void, SendError> {
    return Effect.suspend(() => this.sendAllNow(messages))
  }

  /** What {@link sendAll} does when it runs. */
  sendAllNow(messages: ReadonlyArray<Sendable>): Effect.Effect<void, SendError> {
    return this.sendFrom(messages, 0)
  }

  private sendFrom(messages: ReadonlyArray<Sendable>, from: number): Effect.Effect<void, SendError> {
    for (let at = this.sendRun(messages, from); at < messages.length; at = this.sendRun(messages, at + 1)) {
      const sent = this.sendNow(messages[at])
      if (sent === Effect.void) continue
      return at + 1 === messages.length ? sent : Effect.flatMap(sent, () => this.sendFrom(messages, at + 1))
    }
    return Effect.void
  }

  /** Appends messages that need not wait and need no special treatment. Returns the index of the first that does. */
  protected sendRun(messages: ReadonlyArray<Sendable>, from: number): number {
    const { link } = this
    if (!this.isFree || this.isStreaming || !link.isOpen) return from
    const next = link.protocol.outbound.sendRun(messages, from, link.limits.outboundHighWaterMark - link.inFlight)
    if (next > from) link.scheduleFlush()
    return next
  }

  /**
   * Sends messages that nobody changes any more, for as long as nothing has to be waited for.
   * Returns the index of the first that was not accepted.
   */
  push(messages: ReadonlyArray<Message>, from: number): number {
    for (let at = this.sendRun(messages, from); at < messages.length; at = this.sendRun(messages, at + 1)) {
      const outcome = this.isFree && !this.isSliced(messages[at]) ? this.attempt(messages[at]) : "wait"
      if (outcome !== "accepted" && outcome !== "inFlight") return at
    }
    return messages.length
  }

  /** Sends a message if there is room for it now. Bytes that its caller may change are copied. */
  offer(message: Sendable): boolean {
    const { link } = this
    const given = this.plain(message)
    if (!this.isFree || this.isStreaming || this.isAboveMark || !link.isOpen || this.isSliced(given)) return false
    // Most of a fan-out: nothing of it can throw, or has to be copied or waited for.
    if (given instanceof Prepared && link.transform === undefined) {
      if (link.protocol.send(given) === false) return false
      link.scheduleFlush()
      return true
    }
    const outcome = this.attempt(this.owned(given))
    if (outcome instanceof Thrown) throw outcome.defect
    return outcome === "accepted" || outcome === "inFlight"
  }

  /** A message that its caller may change from now on. */
  protected owned(message: Sendable): Sendable {
    // Not `slice`: on a Node Buffer it makes a view.
    return !(message instanceof Prepared) && this.isUncopied(message) ? Uint8Array.from(message) : message
  }

  /** Runs `append` once control frames may be sent and the mark allows it. */
  control(append: () => void): Effect.Effect<void, SendError> {
    return Effect.suspend(() => {
      const attempt = () => this.append(noBytes, append)
      const first = attempt()
      return first === "wait" ? this.turn(attempt) : this.settle(first)
    })
  }

  /** Waits until everything that was accepted has been taken. */
  get flush(): Effect.Effect<void, SendError> {
    return Effect.suspend(() => {
      const attempt = (): Outcome => {
        const { link } = this
        link.flush()
        if (link.broken !== undefined) return "closed"
        return link.bufferedBytes === 0 ? "accepted" : link.gone ? "closed" : "wait"
      }
      const first = this.isFree ? attempt() : "wait"
      return first === "wait" ? this.turn(attempt) : this.settle(first)
    })
  }

  /** A Close is about to be sent: messages that were accepted and not encoded go before it. */
  beforeClose(): void {}

  /** Closes after everything that was accepted or waits for its turn. */
  close(code: number | undefined, reason: string): void {
    const { link } = this
    const attempt = (): Outcome => {
      if (this.isStreaming && link.isOpen) return "wait"
      link.close(code, reason)
      return "accepted"
    }
    if (this.isFree && attempt() === "accepted") return
    link.wantClose(code, reason)
    this.enqueue({ attempt, resume: () => {} })
  }
}

/** The effect of sending one message: an object of two fields, since there is one for each message. */
class Send extends Effectable.Class<void, SendError> {
  private readonly writer: Writer
  private readonly message: Sendable

  constructor(writer: Writer, message: Sendable) {
    super()
    this.writer = writer
    this.message = message
  }

  override asEffect(): Effect.Effect<void, SendError> {
    return this.writer.sendNow(this.message)
  }
}
