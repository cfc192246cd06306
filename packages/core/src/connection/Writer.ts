/**
 * The effects that send on a connection. What is accepted is encoded at once and
 * goes out with the next write; above the high-water mark senders wait for their
 * turn, in order. A frame is appended whole or not at all, so an interruption never
 * leaves half a frame behind.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Stream from "effect/Stream"
import { bytesOf } from "../codec/Bytes.ts"
import { byteLength, type Message, Prepared, type Sendable } from "../Message.ts"
import { ConnectionClosed, type IOError } from "../WebSocketError.ts"
import type { Link } from "./Link.ts"

/** What can keep a message from being sent. */
export type SendError = ConnectionClosed | IOError

// The outcome of an attempt: not yet, done, done once the transport has taken an
// uncopied payload, or what an extension threw.
export type Attempt = "wait" | "accepted" | "inFlight" | "closed" | Thrown

class Thrown {
  readonly defect: unknown

  constructor(defect: unknown) {
    this.defect = defect
  }
}

export interface Waiter {
  readonly attempt: () => Attempt
  readonly resume: (effect: Effect.Effect<void, SendError>) => void
}

const noBytes = new Uint8Array(0)

// Nobody waits: one array for all connections, never written to.
const nobody: Array<Waiter> = []

export class Writer {
  protected readonly link: Link
  protected queue = nobody
  // The sender of a streamed message goes before all others.
  private holder: Waiter | undefined
  private inFlight: Array<(effect: Effect.Effect<void, SendError>) => void> | undefined

  constructor(link: Link) {
    this.link = link
  }

  /** Messages that were not sent, since the peer takes too little. */
  get dropped(): number {
    return 0
  }

  get hasWaiting(): boolean {
    return this.queue.length > 0 || this.holder !== undefined
  }

  /** The transport has taken the last write. */
  onTaken(): void {
    if (this.inFlight !== undefined) this.resumeAll(Effect.void)
  }

  private resumeAll(effect: Effect.Effect<void, SendError>): void {
    const waiting = this.inFlight ?? []
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
      const attempt = holder.attempt()
      if (attempt !== "wait") {
        this.holder = undefined
        holder.resume(this.settle(attempt))
      }
    }
    let moved = false
    while (this.queue.length > 0) {
      const waiter = this.queue[0]
      const attempt = waiter.attempt()
      if (attempt === "wait") break
      // An attempt that writes may find the transport closed, which ends all who wait.
      if (this.queue[0] !== waiter) continue
      this.dequeue(0)
      moved = true
      waiter.resume(this.settle(attempt))
    }
    if (moved && this.queue.length === 0) this.link.sendersMoved()
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

  protected fail(): Effect.Effect<never, SendError> {
    return Effect.fail(this.error)
  }

  private settle(attempt: Exclude<Attempt, "wait">): Effect.Effect<void, SendError> {
    if (attempt instanceof Thrown) return Effect.die(attempt.defect)
    switch (attempt) {
      case "accepted":
        return Effect.void
      case "closed":
        return this.fail()
      case "inFlight":
        // The transport reads from the caller's buffer, so even an interrupted sender
        // waits; the stalled-write deadline bounds it.
        return Effect.uninterruptible(Effect.callback((resume) => {
          if (this.link.isBlocked) (this.inFlight ??= []).push(resume)
          else resume(this.link.broken !== undefined || this.link.gone ? this.lost() : Effect.void)
        }))
    }
  }

  /** Waits for the turn of `attempt`. */
  private turn(attempt: () => Attempt): Effect.Effect<void, SendError> {
    return Effect.callback((resume) => {
      const waiter: Waiter = { attempt, resume }
      this.enqueue(waiter)
      // The fiber may have yielded since its first attempt and missed the moment.
      if (this.queue.length === 1) this.onWritable()
      return Effect.sync(() => {
        const at = this.queue.indexOf(waiter)
        if (at === -1) return
        this.dequeue(at)
        // Those behind it may be able to go on.
        this.onWritable()
        this.link.sendersMoved()
      })
    })
  }

  /** The same for the sender that holds the turn until its message ends. */
  private holdersTurn(attempt: () => Attempt): Effect.Effect<void, SendError> {
    return Effect.callback((resume) => {
      const waiter: Waiter = { attempt, resume }
      this.holder = waiter
      this.onWritable()
      return Effect.sync(() => {
        if (this.holder === waiter) this.holder = undefined
      })
    })
  }

  private attempt(message: Sendable): Attempt {
    const { link } = this
    if (link.streaming && link.isOpen) return "wait"
    // Without an extension nothing that could throw, nor take long, stands in the way.
    const payload = message instanceof Prepared ? noBytes : message
    if (link.transform !== undefined) return this.data(payload, () => link.protocol.send(message))
    const room = this.room(payload)
    if (room !== undefined) return room
    link.protocol.send(message)
    return this.sent(payload)
  }

  /** The same as `append` for what goes through an extension. */
  private data(payload: Message, append: () => void): Attempt {
    return this.link.isOpen && this.link.isTurnOver ? "wait" : this.append(payload, append)
  }

  private append(payload: Message, append: () => void): Attempt {
    const room = this.room(payload)
    if (room !== undefined) return room
    try {
      append()
    } catch (defect) {
      // Of an extension or its options, written by users. It is this sender's, whoever
      // called; the transport may have.
      return new Thrown(defect)
    }
    return this.sent(payload)
  }

  /** Whether a payload cannot be appended now, and why. */
  private room(payload: Message): "closed" | "wait" | undefined {
    const { link } = this
    if (!link.isOpen) return "closed"
    if (this.isUncopied(payload)) {
      // Alone in its write, so that the caller's buffer is read for as short as can be.
      link.flush()
      if (link.isBlocked) return "wait"
    } else if (link.bufferedBytes >= link.limits.outboundHighWaterMark) {
      link.flush()
      if (link.bufferedBytes >= link.limits.outboundHighWaterMark) return "wait"
    }
    // The transport may have noticed while it wrote that it is closed.
    return link.isOpen ? undefined : "closed"
  }

  /** A payload was appended: it goes out with what follows in this run, or at once. */
  private sent(payload: Message): Attempt {
    const { link } = this
    if (!this.isUncopied(payload)) {
      link.scheduleFlush()
      return "accepted"
    }
    link.flush()
    return link.isBlocked ? "inFlight" : "accepted"
  }

  /** Sends a message; completes once it is accepted. */
  send(message: Sendable): Effect.Effect<void, SendError> {
    return new Send(this, message)
  }

  /** What a {@link Send} does when it runs. */
  sendNow(message: Sendable): Effect.Effect<void, SendError> {
    if (message instanceof Prepared) {
      // Its frame is nobody's to change, so there is nothing to guard.
      if (!this.link.protocol.outbound.shares(message)) return this.sendNow(message.message)
    } else if (this.link.protocol.outbound.isSliced(message)) {
      return this.sendSliced(message)
    } else if (this.isUncopied(message)) {
      return this.sendUncopied(message)
    }
    const attempt = this.queue.length === 0 ? this.attempt(message) : "wait"
    if (attempt === "accepted") return Effect.void
    return attempt === "wait" ? this.turn(() => this.attempt(message)) : this.settle(attempt)
  }

  /** The same for what goes out uncopied. */
  private sendUncopied(message: Uint8Array): Effect.Effect<void, SendError> {
    return this.guard(message, (restore) => {
      const attempt = this.queue.length === 0 ? this.attempt(message) : "wait"
      return attempt === "wait" ? restore(this.turn(() => this.attempt(message))) : this.settle(attempt)
    })
  }

  /**
   * Between an attempt that hands an uncopied payload over and the wait for it, the
   * fiber must not be interrupted: its caller would believe the payload to be free.
   */
  private guard<E>(
    payload: Message,
    effect: (restore: (turn: Effect.Effect<void, E>) => Effect.Effect<void, E>) => Effect.Effect<void, E>
  ): Effect.Effect<void, E> {
    return this.isUncopied(payload) ? Effect.uninterruptibleMask(effect) : Effect.suspend(() => effect(identity))
  }

  protected isUncopied(payload: Message): payload is Uint8Array {
    return typeof payload !== "string" && this.link.protocol.outbound.isUncopied(bytesOf(payload).length)
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

  /** Appends what needs neither to wait nor any care; returns the index of the first message that does. */
  private sendRun(messages: ReadonlyArray<Sendable>, from: number): number {
    const { link } = this
    if (this.queue.length > 0 || link.streaming || !link.isOpen) return from
    const next = link.protocol.outbound.sendRun(messages, from, link.limits.outboundHighWaterMark - link.inFlight)
    if (next > from) link.scheduleFlush()
    return next
  }

  /** Sends one message from a stream of its fragments. */
  sendStream<E, R>(
    type: "text" | "binary",
    fragments: Stream.Stream<Message, E, R>
  ): Effect.Effect<void, SendError | E, R> {
    return this.holding((message) => {
      const pairs = new SurrogatePairs()
      const sendFrom = (payloads: NonEmptyReadonlyArray<Message>, from: number): Effect.Effect<void, SendError> => {
        const sent = this.slices(message, type, pairs.join(payloads[from]), false)
        return from + 1 === payloads.length ? sent : Effect.flatMap(sent, () => sendFrom(payloads, from + 1))
      }
      return Stream.runForEachArray(fragments, (payloads) => sendFrom(payloads, 0)).pipe(
        Effect.flatMap(() =>
          Effect.suspend(() => this.fragment(message, type, type === "text" ? pairs.carry : noBytes, true))
        )
      )
    })
  }

  /**
   * Sends a message so large that an extension works on it in slices. It can be
   * interrupted until there is room for its first byte; from then on it is not: the caller
   * asked for one message, not for a connection that closes.
   */
  private sendSliced(message: Message): Effect.Effect<void, SendError> {
    const type = typeof message === "string" ? "text" : "binary"
    const begin = (begun: Begun) =>
      Effect.suspend(() => {
        const { link } = this
        if (!link.isOpen) return this.fail()
        return link.protocol.outbound.beginFragments(type, message)
          ? this.slices(begun, type, message, true)
          : this.fragment(begun, type, message, true)
      })
    const room = Effect.suspend(() => {
      const attempt = () => this.data(message, () => {})
      const first = attempt()
      return first === "wait" ? this.holdersTurn(attempt) : this.settle(first)
    })
    return this.holding((begun) => Effect.andThen(room, Effect.uninterruptible(begin(begun))))
  }

  /** Runs `send` while no one else sends data; a message that it leaves unfinished ends the connection. */
  private holding<E, R>(
    send: (message: Begun) => Effect.Effect<void, E, R>
  ): Effect.Effect<void, SendError | E, R> {
    return Effect.suspend(() => {
      const { link } = this
      const message: Begun = { begun: false }
      let held = false
      const hold = (): Attempt => {
        if (!link.isOpen) return "closed"
        if (link.streaming) return "wait"
        held = link.streaming = true
        return "accepted"
      }
      const turn = Effect.suspend(() => {
        const first = this.queue.length === 0 ? hold() : "wait"
        return first === "wait" ? this.turn(hold) : this.settle(first)
      })
      return turn.pipe(
        Effect.flatMap(() => send(message)),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (!held) return
            link.streaming = false
            // §5.4: a message that was begun can neither be ended early nor taken back.
            if (Exit.isFailure(exit) && message.begun) link.close(1011, "a streamed message failed")
            this.onWritable()
            link.sendersMoved()
          })
        )
      )
    })
  }

  /** Sends a payload as fragments of at most a slice; between those that are encoded others run. */
  private slices(
    message: Begun,
    type: "text" | "binary",
    payload: Message,
    last: boolean
  ): Effect.Effect<void, SendError> {
    const size = this.link.protocol.outbound.sliceSize
    const sliceFrom = (from: number): Effect.Effect<void, SendError> => {
      const to = cut(payload, from, size)
      const end = to === payload.length
      const slice = from === 0 && end ? payload : part(payload, from, to)
      const sent = slice.length === 0 && !last ? Effect.void : this.fragment(message, type, slice, last && end)
      return end ? sent : Effect.flatMap(sent, () => sliceFrom(to))
    }
    return sliceFrom(0)
  }

  private fragment(
    message: Begun,
    type: "text" | "binary",
    payload: Message,
    last: boolean
  ): Effect.Effect<void, SendError> {
    return this.guard(payload, (restore) => {
      const attempt = () =>
        this.data(payload, () => {
          this.link.protocol.sendFragment(type, payload, last)
          message.begun = !last
        })
      const first = attempt()
      return first === "wait" ? restore(this.holdersTurn(attempt)) : this.settle(first)
    })
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
      const attempt = (): Attempt => {
        const { link } = this
        link.flush()
        if (link.broken !== undefined) return "closed"
        return link.bufferedBytes === 0 ? "accepted" : link.gone ? "closed" : "wait"
      }
      const first = this.queue.length === 0 ? attempt() : "wait"
      return first === "wait" ? this.turn(attempt) : this.settle(first)
    })
  }

  /** A Close goes out now: what was accepted and not encoded goes before it. */
  beforeClose(): void {}

  /** Waits until a Close may go out: behind everything that was accepted before. */
  get closeTurn(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const attempt = (): Attempt => !this.link.isOpen ? "accepted" : this.link.streaming ? "wait" : "accepted"
      return this.queue.length === 0 && attempt() === "accepted" ? Effect.void : Effect.ignore(this.turn(attempt))
    })
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

/** Whether part of a message has gone out that is not whole yet. */
interface Begun {
  begun: boolean
}

const part = (payload: Message, from: number, to: number): Message =>
  typeof payload === "string" ? payload.slice(from, to) : payload.subarray(from, to)

/** Where a slice of at most `size` bytes ends that begins at `from`; not between two surrogates. */
const cut = (payload: Message, from: number, size: number): number => {
  let to = Math.min(from + size, payload.length)
  if (typeof payload !== "string" || size === Infinity) return to
  if ((to - from) * 3 > size && byteLength(payload.slice(from, to)) > size) to = from + Math.max(1, Math.floor(size / 3))
  if (to === payload.length) return to
  const last = payload.charCodeAt(to - 1)
  // A step forward in any case, however small the slices are.
  return last >= 0xd800 && last <= 0xdbff ? to - 1 > from ? to - 1 : to + 1 : to
}

/** Keeps surrogate pairs of a streamed text together: half a pair becomes U+FFFD. */
class SurrogatePairs {
  carry = ""

  join(payload: Message): Message {
    if (typeof payload !== "string") return payload
    const text = this.carry + payload
    const last = text.charCodeAt(text.length - 1)
    this.carry = last >= 0xd800 && last <= 0xdbff ? text.slice(-1) : ""
    return this.carry === "" ? text : text.slice(0, -1)
  }
}
