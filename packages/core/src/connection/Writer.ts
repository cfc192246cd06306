/**
 * The effects that send on a connection. An accepted message is encoded at once and written with the
 * next write. Above the high-water mark senders wait for their turn, in order. A frame is appended
 * whole or not at all, so an interruption never leaves half a frame, and every wait can be
 * interrupted at once. A payload that the transport still reads remains the connection's.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type { Message, Sendable } from "../Message.ts"
import { ConnectionClosed } from "../WebSocketError.ts"
import type { Link } from "./Link.ts"
import type { Outcome, SendError, Turns, Waiter } from "./Sending.ts"

// The empty queue: one array for all connections, never written to.
const nobody: Array<Waiter> = []

export class Writer implements Turns {
  readonly link: Link
  /** A message is being sent fragment by fragment, so other data must wait. */
  isStreaming = false
  protected queue = nobody

  constructor(link: Link) {
    this.link = link
  }

  /** Messages that were dropped because the peer takes too little. */
  get dropped(): number {
    return 0
  }

  /** Whether a sender waits for a turn, or a message is being sent fragment by fragment. */
  get hasWaiting(): boolean {
    return this.queue.length > 0 || this.isStreaming
  }

  /** Whether a new sender has its turn at once. */
  get isFree(): boolean {
    return this.queue.length === 0
  }

  /** There may be room, a turn has come, or nothing can be sent any more. */
  onWritable(): void {
    this.link.resumeHolder?.(this)
    let hasMoved = false
    while (this.queue.length > 0) {
      const waiter = this.queue[0]
      const outcome = waiter.attempt()
      if (outcome === "wait") break
      // An attempt that writes may find the transport closed, which ends all waiting senders.
      if (this.queue[0] !== waiter) continue
      this.#dequeue(0)
      hasMoved = true
      waiter.resume(this.settle(outcome))
    }
    if (hasMoved && this.queue.length === 0) this.link.sendersMoved()
  }

  protected enqueue(waiter: Waiter): void {
    if (this.queue === nobody) this.queue = [waiter]
    else this.queue.push(waiter)
  }

  #dequeue(at: number): void {
    if (this.queue.length === 1) this.queue = nobody
    else if (at === 0) this.queue.shift()
    else this.queue.splice(at, 1)
  }

  /** Why nothing can be sent any more. */
  get error(): SendError {
    const { broken, closeInfo, protocol } = this.link
    return broken !== undefined && protocol.isOpen ? broken : new ConnectionClosed({ info: closeInfo })
  }

  fail(): Effect.Effect<never, SendError> {
    return Effect.fail(this.error)
  }

  /** The result of an attempt that is not repeated. */
  settle(outcome: Exclude<Outcome, "wait">): Effect.Effect<void, SendError> {
    if (outcome === "accepted") return Effect.void
    // Only a link that has another outcome returns it.
    return outcome === "closed" ? this.fail() : this.link.settle!(outcome)
  }

  /** Runs an attempt, at once where no sender waits or `overtakes` says so, and again at its turn if it has to wait. */
  run(attempt: () => Outcome, overtakes = this.isFree): Effect.Effect<void, SendError> {
    const first = overtakes ? attempt() : "wait"
    return first === "wait" ? this.turn(attempt) : this.settle(first)
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
        this.#dequeue(at)
        // The next senders may be able to continue.
        this.onWritable()
        this.link.sendersMoved()
      })
    })
  }

  #attempt(message: Sendable): Outcome {
    return this.isStreaming && this.link.isOpen ? "wait" : this.link.attempt(message)
  }

  /** Sends a message; completes once it is accepted. */
  send(message: Sendable): Effect.Effect<void, SendError> {
    return new Send(this, message)
  }

  /** What a {@link Send} does when it runs. */
  sendNow(message: Sendable): Effect.Effect<void, SendError> {
    return this.sendOr(this.link.plain(message), undefined)
  }

  /** The same; `accepted` is called once the message is. */
  sendAnd(message: Sendable, accepted: () => void): Effect.Effect<void, SendError> {
    return this.sendOr(this.link.plain(message), accepted)
  }

  protected sendOr(message: Sendable, accepted: (() => void) | undefined): Effect.Effect<void, SendError> {
    const { link } = this
    // Only a link that has slices says that a message goes out in slices.
    if (link.isSliced(message)) return link.sendSliced!(this, message, accepted)
    return this.run(accepted === undefined ? () => this.#attempt(message) : () => {
      const outcome = this.#attempt(message)
      if (outcome === "accepted" || outcome === "inFlight") accepted()
      return outcome
    })
  }

  /** Sends messages in order; others' may come between them while they wait. */
  sendAll(messages: ReadonlyArray<Sendable>): Effect.Effect<void, SendError> {
    return Effect.suspend(() => this.sendAllNow(messages))
  }

  /** What {@link sendAll} does when it runs. */
  sendAllNow(messages: ReadonlyArray<Sendable>): Effect.Effect<void, SendError> {
    return this.#sendFrom(messages, 0)
  }

  #sendFrom(messages: ReadonlyArray<Sendable>, from: number): Effect.Effect<void, SendError> {
    for (let at = this.sendRun(messages, from); at < messages.length; at = this.sendRun(messages, at + 1)) {
      const sent = this.sendNow(messages[at])
      if (sent === Effect.void) continue
      return at + 1 === messages.length ? sent : Effect.flatMap(sent, () => this.#sendFrom(messages, at + 1))
    }
    return Effect.void
  }

  /** Appends messages that need not wait and need no special treatment. Returns the index of the first that does. */
  protected sendRun(messages: ReadonlyArray<Sendable>, from: number): number {
    const { link } = this
    if (!this.isFree || this.isStreaming || !link.isOpen) return from
    const next = link.sendRun(messages, from)
    if (next > from) link.scheduleFlush()
    return next
  }

  /**
   * Sends messages that nobody changes any more, for as long as nothing has to be waited for.
   * Returns the index of the first that was not accepted.
   */
  push(messages: ReadonlyArray<Message>, from: number): number {
    for (let at = this.sendRun(messages, from); at < messages.length; at = this.sendRun(messages, at + 1)) {
      const outcome = this.isFree && !this.link.isSliced(messages[at]) ? this.#attempt(messages[at]) : "wait"
      if (outcome !== "accepted" && outcome !== "inFlight") return at
    }
    return messages.length
  }

  /** Sends a message if there is room for it now. Bytes that its caller may change are copied. */
  offer(message: Sendable): boolean {
    return this.isFree && !this.isStreaming && this.link.offer(message)
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
      return this.run(attempt)
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
  readonly #writer: Writer
  readonly #message: Sendable

  constructor(writer: Writer, message: Sendable) {
    super()
    this.#writer = writer
    this.#message = message
  }

  override asEffect(): Effect.Effect<void, SendError> {
    return this.#writer.sendNow(this.#message)
  }
}
