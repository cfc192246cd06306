/**
 * The end of one connection: it passes events to the pure machine (`protocol/Closing`) and does
 * what that says. It exists from the first sign of an end, so that an open connection holds
 * nothing of it.
 *
 * The *ending* (the peer's Close, a broken rule, the end of the stream) is processed after all
 * messages that arrived before it have been read, at the latest at the close deadline. A
 * *break* (reset, timeout) fails senders at once, and the reader after the messages that had
 * arrived.
 */
import type { CloseInfo } from "../CloseCode.ts"
import type { Limits } from "../Limits.ts"
import { Closing } from "../protocol/Closing.ts"
import type { Deadlines } from "../runtime/Deadlines.ts"
import type { Listeners } from "../runtime/Listeners.ts"
import type { IOError } from "../WebSocketError.ts"
import { closeTimedOut, endedWithoutClose, type LinkHooks, type LinkTransport } from "./LinkHooks.ts"
import type { LinkProtocol } from "./LinkProtocol.ts"

/** A link as its end sees it. */
export interface ClosableLink {
  readonly protocol: LinkProtocol
  readonly transport: LinkTransport
  readonly limits: Limits
  readonly deadlines: Deadlines
  readonly hooks: LinkHooks
  /** Few connections have any. */
  readonly listeners: Listeners<EndStep> | undefined
  /** Messages, or bytes that are not decoded, wait for the reader. */
  readonly hasUnread: boolean
  /** Input is being decoded, or waits to be. */
  readonly isDecoding: boolean
  /** Bytes that were accepted and that the transport has not taken. */
  readonly bufferedBytes: number
  readonly pendingBytes: number
  flush(): void
  /** Sends the end of the stream. */
  endOutput(): void
  regulate(): void
  /** Reads the input that was left over, to drop it. */
  feedRest(): void
  updateAlarm(): void
  /** Only the end of the transport is left. */
  stop(): void
  /** The transport is closed: informs the observer. */
  observeGone(): void
  /** The transport is closed: gives back what the connection held. */
  release(): void
}

/**
 * The steps of the end: the connection is closing, or closed; it is closed; there is nothing to wait for, because the transport
 * is closed or the peer silent; its transport is closed.
 */
export type EndStep = "closing" | "closed" | "done" | "gone"

export class LinkClosing {
  /** There is an ending, after the messages that wait. */
  isEnding = false
  /** How the connection closed. */
  info: CloseInfo | undefined
  /** What broke it. */
  broken: IOError | undefined
  /** When its transport closed. */
  goneAt: number | undefined
  /** What the connection held is given back. */
  isDisposed = false
  /** Something that was accepted was dropped by this side. */
  hasLost = false
  /** The connection is closed to make room: a peer that takes nothing is cut at the close deadline. */
  isShed = false
  /** Its program has ended, and the process need not stay for the rest. */
  isAbandoned = false

  readonly #link: ClosableLink
  readonly #machine: Closing
  // The reader has reached the ending, or nothing reads: it takes effect.
  #isProcessed = false
  #hasTold = false
  // The Close that a call of this side waits to send.
  #wanted: { readonly code: number | undefined; readonly reason: string } | undefined
  #pending = 0

  constructor(link: ClosableLink) {
    const { limits, protocol } = link
    this.#link = link
    this.#machine = new Closing(protocol.role, { silence: limits.closeTimeout, bound: limits.closeLimit })
  }

  get #now(): number {
    return this.#link.deadlines.now()
  }

  get #isSent(): boolean {
    return this.#link.protocol.sentClose !== undefined
  }

  /** When to look next. */
  get due(): number {
    return this.#machine.due
  }

  /** Whether there is nothing to wait for: the transport is closed, or the peer is silent. */
  get isDone(): boolean {
    return this.goneAt !== undefined || this.#machine.isUnanswered || this.#machine.isGivenUp
  }

  /** The peer took bytes, or sent some. */
  alive(): void {
    this.#machine.alive(this.#now)
  }

  /** Whether an ending follows the messages that wait. */
  get hasEnding(): boolean {
    if (this.#link.protocol.ending !== undefined) return true
    // A fiber that a Pong wakes may find the transport closed before the rest of the chunk is read.
    return !this.#link.isDecoding && (this.#machine.hasPeerEnded || this.goneAt !== undefined || this.broken !== undefined)
  }

  /** Something was read, or nothing reads any more: processes the ending if there is one. */
  check(): void {
    if (this.isEnding || !this.hasEnding) return
    this.#begin()
    const link = this.#link
    // Our Close was sent, or nothing reads: there is nothing that the ending could overtake.
    if (this.#isSent || (!link.hooks.reader.isReading && !link.hasUnread)) this.processEnd()
    else this.#machine.want(this.#now, false)
    link.updateAlarm()
  }

  #begin(): void {
    this.isEnding = true
    const { ending } = this.#link.protocol
    if (ending !== undefined) this.#machine.receivedEnding(ending._tag)
    // A platform that closes by itself has answered already.
    if (this.#isSent) this.#machine.sent(this.#now)
    this.#tellClosing()
  }

  /** The reader ended. What it left unread is there for the next one. */
  readerLeft(): void {
    if (this.isEnding && !this.#isProcessed && !this.#link.hasUnread) this.processEnd()
  }

  /** The reader has reached the ending, or nothing reads: it takes effect. */
  processEnd(): void {
    if (!this.isEnding && this.hasEnding) this.#begin()
    this.#isProcessed = true
    this.settle(false)
  }

  /** The peer's stream has ended. */
  peerEnded(): void {
    this.#machine.peerEnded()
    // Nothing more can arrive. Output that waits (our answer) is written first.
    this.advance()
  }

  /**
   * Answers the ending, once the messages of waiting senders are written. The close deadline
   * forces it.
   */
  settle(forced: boolean): void {
    const { hooks, protocol } = this.#link
    if (!this.#isProcessed || this.goneAt !== undefined || this.broken !== undefined) return
    if (protocol.ending === undefined) {
      if (this.#machine.hasPeerEnded && protocol.isOpen) this.break(endedWithoutClose())
      return
    }
    if (!this.#isSent) {
      if (!forced && hooks.writer.hasWaiting) {
        this.#machine.want(this.#now, false)
        this.#link.updateAlarm()
        return
      }
      protocol.settle()
      this.#machine.sent(this.#now)
      hooks.writer.onWritable()
    }
    this.#link.flush()
    this.#link.regulate()
    this.advance()
    this.#link.updateAlarm()
  }

  /** A call wants a Close that has to wait for its turn: at the close deadline it is sent in any case. */
  want(code: number | undefined, reason: string): void {
    if (this.#isSent) return
    this.#wanted ??= { code, reason }
    this.#machine.want(this.#now, true)
    this.#link.updateAlarm()
  }

  /** Sends a Close frame after everything that was accepted. Only the first counts. */
  close(code: number | undefined, reason: string): void {
    const link = this.#link
    if (link.protocol.ending !== undefined) {
      // The peer was first: it gets its answer.
      this.#isProcessed = true
      this.settle(true)
      return
    }
    this.writeBlocked(link.pendingBytes)
    link.protocol.close(code, reason)
    this.#machine.sent(this.#now)
    this.#tellClosing()
    // Dropped, but decoded: the peer's next frame begins after it.
    link.feedRest()
    this.check()
    link.flush()
    link.hooks.reader.onReadable()
    link.hooks.writer.onWritable()
    link.regulate()
    this.advance()
    link.updateAlarm()
  }

  /** Does what is due (RFC 6455 §7.1.1). */
  advance(): void {
    const link = this.#link
    const machine = this.#machine
    const { protocol, transport } = link
    if (this.goneAt !== undefined) return
    if (this.#isSent && link.bufferedBytes === 0) {
      machine.written()
      if (protocol.ending !== undefined) this.#tellClosed()
    }
    const now = this.#now
    for (let step = machine.next(now); step !== "nothing"; step = machine.next(now)) {
      if (step === "force") {
        const wanted = this.#wanted
        link.hooks.writer.beforeClose()
        if (wanted !== undefined && protocol.ending === undefined) return this.close(wanted.code, wanted.reason)
        this.#isProcessed = true
        return this.settle(true)
      }
      if (step === "end") {
        link.endOutput()
        if (machine.isUnanswered) link.listeners?.happen("done")
      } else if (step === "giveUp" && !this.isShed) {
        link.listeners?.happen("done")
      } else if (step === "unanswered") {
        this.broken = closeTimedOut(link.limits.closeTimeout)
        this.isEnding = true
        this.#tellClosed()
        link.stop()
      } else {
        if (this.info === undefined) this.broken = closeTimedOut(link.limits.closeTimeout)
        transport.destroy()
        return
      }
      if (this.goneAt !== undefined) return
    }
  }

  /** The connection broke: senders fail now, the reader fails after the messages that had arrived. */
  break(error: IOError): void {
    if (this.goneAt !== undefined) return
    this.#machine.dropped()
    // Its Close was not answered in time: what is left is the wait for the peer's end, which ends here.
    if (this.broken !== undefined) return this.#link.transport.destroy()
    this.broken = error
    this.#link.transport.destroy()
    // The transport may have reported by now that it is closed.
    if (this.goneAt === undefined) this.#over()
  }

  /** The transport is closed. */
  transportClosed(error: IOError | undefined): void {
    const { protocol } = this.#link
    this.goneAt = this.#now
    if (this.broken === undefined && protocol.ending === undefined && protocol.sentClose === undefined) {
      this.broken = error ?? endedWithoutClose()
    }
    // Before the listeners, which may look at the counters.
    this.#link.observeGone()
    this.#over()
  }

  #over(): void {
    this.isEnding = true
    this.#tellClosed()
    this.#link.stop()
    if (this.goneAt === undefined) return
    this.#link.release()
    this.#link.listeners?.happen("gone")
    this.#link.listeners?.happen("done")
  }

  #tellClosing(): void {
    if (this.#hasTold) return
    this.#hasTold = true
    this.#link.listeners?.happen("closing")
    this.#link.hooks.onEnding(false)
  }

  #tellClosed(): void {
    if (this.info !== undefined) return
    const info = this.#link.protocol.closeInfo
    // If accepted messages have not reached the transport, the Close has not either.
    this.info = info.clean && (this.hasLost || !this.#machine.isWritten) ? { ...info, clean: false } : info
    this.#tellClosing()
    this.#link.listeners?.happen("closed")
    this.#link.hooks.onEnding(false)
  }

  /** The transport did not take a write; `pending` bytes are left of it. */
  writeBlocked(pending: number): void {
    this.#pending = pending
  }

  onAlarm(): void {
    const link = this.#link
    // A write that makes progress is a sign of life.
    const pending = link.pendingBytes
    if (pending < this.#pending) this.alive()
    this.#pending = pending
    this.advance()
  }
}
