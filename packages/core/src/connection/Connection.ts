/**
 * The connection as users see it: the effects of `Reader` and `Writer` over one
 * `Link`, and its release.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { CloseCodeFor, CloseInfo, CloseWith } from "../CloseCode.ts"
import type { HeaderList } from "../http/Tokens.ts"
import type { Sendable } from "../Message.ts"
import { checkClose } from "../protocol/CloseFrame.ts"
import { InvalidArgument, IOError } from "../WebSocketError.ts"
import { messagesOf, sinkOf } from "./Ends.ts"
import type { Link } from "./Link.ts"
import type { LinkHooks } from "./LinkHooks.ts"
import type { ControlFrame } from "./Pings.ts"
import { Reader } from "./Reader.ts"
import { makeWriter } from "./SlowConsumer.ts"
import { type Stats, statsOf } from "./Stats.ts"
import * as Deadlines from "../runtime/Deadlines.ts"
import { uncaught } from "../runtime/Uncaught.ts"
import type { SendError, Writer } from "./Writer.ts"

const invalidToken = (token: Uint8Array) =>
  Effect.fail(
    new InvalidArgument({ argument: "token", detail: `${token.length} bytes; at most 125 fit (RFC 6455 §5.5)` })
  )

const maxControls = 64

const noHeaders: HeaderList = []

// Inspectable, so that a log line that shows a connection shows these few words of it and not
// its inside, where messages wait.
export class Connection extends Inspectable.Class implements LinkHooks {
  readonly subprotocol: string | undefined
  readonly responseHeaders: HeaderList
  readonly link: Link
  private readonly reader: Reader
  private readonly writer: Writer
  private sending: ((message: Sendable) => Effect.Effect<void, SendError>) | undefined

  constructor(link: Link, subprotocol: string | undefined, responseHeaders: HeaderList = noHeaders) {
    super()
    this.link = link
    this.subprotocol = subprotocol
    this.responseHeaders = responseHeaders
    this.reader = new Reader(link)
    this.writer = makeWriter(link)
    link.hooks = this
  }

  toJSON(): unknown {
    const { extension, id, role, subprotocol } = this
    return { _id: "WebSocket", id, role, subprotocol, extension, closed: this.link.isClosed }
  }

  // A function, not a method: `Stream.runForEach(ws.send)` is how it is used. Made when it
  // is asked for, as is all that an idle connection would hold for nothing.
  get send(): (message: Sendable) => Effect.Effect<void, SendError> {
    return this.sending ??= (message) => this.writer.send(message)
  }

  onReadable(): void {
    this.reader.onReadable()
  }

  onWriteTaken(): void {
    this.writer.onTaken()
  }

  onWritable(): void {
    this.writer.onWritable()
  }

  hasWaitingSenders(): boolean {
    return this.writer.hasWaiting
  }

  get role() {
    return this.link.protocol.role
  }

  get id() {
    return this.link.serial
  }

  get extension() {
    return this.link.transform?.name
  }

  get messages() {
    return messagesOf(this.reader, this.id)
  }

  get receive() {
    return this.reader.receive
  }

  get receiveStream() {
    return this.reader.receiveStream
  }

  get pull() {
    return this.reader.batch
  }

  get sendText(): (text: string) => Effect.Effect<void, SendError> {
    return this.send
  }

  get sendBinary(): (bytes: Uint8Array) => Effect.Effect<void, SendError> {
    return this.send
  }

  get sendAll() {
    return (messages: Iterable<Sendable>) =>
      this.writer.sendAll(Array.isArray(messages) ? messages as ReadonlyArray<Sendable> : Array.from(messages))
  }

  sendTextStream<E, R>(fragments: Stream.Stream<string, E, R>) {
    return this.writer.sendStream("text", fragments)
  }

  sendBinaryStream<E, R>(fragments: Stream.Stream<Uint8Array, E, R>) {
    return this.writer.sendStream("binary", fragments)
  }

  get sink(): Sink.Sink<void, Sendable, never, SendError> {
    return sinkOf(this.writer, this.id)
  }

  get flush() {
    return this.writer.flush
  }

  get dropped() {
    return Effect.sync(() => this.writer.dropped)
  }

  ping(token?: Uint8Array): Effect.Effect<Duration.Duration, SendError | InvalidArgument> {
    if (token !== undefined && token.length > 125) return invalidToken(token)
    return Effect.suspend(() => {
      const { link, writer } = this
      let roundTrip: number | undefined
      let wake: (() => void) | undefined
      let forget: (() => void) | undefined
      let offClosed: (() => void) | undefined
      const send = writer.control(() => {
        forget = link.pings.send(token ?? link.pings.freshToken(), (millis) => {
          roundTrip = millis
          wake?.()
        })
      })
      const pong = Effect.callback<Duration.Duration, SendError>((resume) => {
        const settle = () => {
          if (roundTrip !== undefined) resume(Effect.succeed(Duration.millis(roundTrip)))
          else if (link.isClosed) resume(Effect.fail(writer.error))
          else return false
          return true
        }
        if (settle()) return
        wake = settle
        offClosed = link.onceClosed(settle)
      })
      return Effect.ensuring(
        Effect.flatMap(send, () => pong),
        Effect.sync(() => {
          forget?.()
          offClosed?.()
        })
      )
    })
  }

  sendPing(token?: Uint8Array): Effect.Effect<void, SendError | InvalidArgument> {
    if (token !== undefined && token.length > 125) return invalidToken(token)
    return this.writer.control(() => this.link.pings.send(token ?? this.link.pings.freshToken()))
  }

  get controls(): Stream.Stream<ControlFrame> {
    const { link } = this
    return Stream.callback<ControlFrame>(
      (queue) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const offControls = link.pings.observe((frame) => Queue.offerUnsafe(queue, frame))
            const end = () => Queue.endUnsafe(queue)
            const offClosed = link.isClosed ? (end(), () => {}) : link.onceClosed(end)
            return () => {
              offControls()
              offClosed()
            }
          }),
          (off) => Effect.sync(off)
        ),
      { bufferSize: maxControls, strategy: "sliding" }
    )
  }

  close(code?: number, reason = ""): Effect.Effect<CloseInfo, InvalidArgument> {
    const checked = checkClose(this.role, code, reason)
    if (Result.isFailure(checked)) return Effect.fail(checked.failure)
    const { link } = this
    return this.writer.closeTurn.pipe(
      // Senders that cannot go on, or a streamed message that does not end, hold it up
      // no longer than this.
      (turn) => Deadlines.timeoutOption(turn, link.limits.closeTimeout),
      Effect.flatMap(() => {
        link.close(code, reason)
        return this.closed
      })
    )
  }

  get closed(): Effect.Effect<CloseInfo> {
    const { link } = this
    return Effect.callback<CloseInfo>((resume) => {
      if (link.isClosed) {
        resume(Effect.succeed(link.closeInfo))
        return
      }
      return Effect.sync(link.onceClosed(() => resume(Effect.succeed(link.closeInfo))))
    })
  }

  get stats(): Effect.Effect<Stats> {
    return Effect.sync(() => statsOf(this.link))
  }

  /** Tells the peer at once, without waiting for anyone's turn. */
  goAway(code: number, reason = ""): void {
    this.writer.beforeClose()
    this.link.close(code, reason)
  }

  /** Drops the connection without a closing handshake. */
  cut(detail: string): void {
    this.link.break(new IOError({ phase: "close", reason: "Aborted", detail }))
  }

  /** Waits until the transport is closed. */
  get gone(): Effect.Effect<void> {
    const { link } = this
    return Effect.callback((resume) => {
      if (link.gone) {
        resume(Effect.void)
        return
      }
      return Effect.sync(link.onceGone(() => resume(Effect.void)))
    })
  }

  /**
   * Closes with the code that the exit maps to and waits until all is over. To be run where
   * the fiber is not interruptible.
   */
  release(
    exit: Exit.Exit<unknown, unknown>,
    closeCodeFor: CloseCodeFor | undefined
  ): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const { link } = this
      if (link.isOpen) {
        this.writer.beforeClose()
        const { code, reason } = closeWith(this.role, exit, closeCodeFor, link.owner?.closeWith?.(this))
        link.close(code, reason ?? "")
      }
      const released = () => {
        link.dispose()
        resume(Effect.void)
      }
      if (link.gone) released()
      else link.onceGone(released)
    })
  }
}

const internalError: CloseWith = { code: 1011 }

const closeWith = (
  role: "client" | "server",
  exit: Exit.Exit<unknown, unknown>,
  closeCodeFor: CloseCodeFor | undefined,
  ownersChoice: CloseWith | undefined
): CloseWith => {
  if (Exit.isSuccess(exit)) return ownersChoice ?? { code: 1000 }
  if (Cause.hasInterruptsOnly(exit.cause)) return ownersChoice ?? { code: 1001 }
  const error = Cause.findErrorOption(exit.cause)
  if (closeCodeFor === undefined || error._tag === "None") return internalError
  try {
    const chosen = closeCodeFor(error.value)
    const { code, reason = "" } = typeof chosen === "number" ? { code: chosen } : chosen
    if (Result.isFailure(checkClose(role, code, ""))) return internalError
    return { code, reason: Result.isSuccess(checkClose(role, code, reason)) ? reason : "" }
  } catch (defect) {
    // The connection is closed all the same.
    uncaught(defect)
    return internalError
  }
}
