/**
 * The connection as users see it: the effects of `Reader` and `Writer` over one
 * `Link`, and its release.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Result from "effect/Result"
import * as Pull from "effect/Pull"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { CloseCodeFor, CloseInfo, CloseWith } from "../CloseCode.ts"
import type { HeaderList } from "../http/Tokens.ts"
import type { Message, Sendable } from "../Message.ts"
import { checkClose } from "../protocol/CloseFrame.ts"
import { ConnectionClosed, type InvalidArgument, IOError, type ProtocolError, Unsupported } from "../WebSocketError.ts"
import type { Lifetime } from "./Lifetime.ts"
import type { Link } from "./Link.ts"
import type { EndStep } from "./LinkClosing.ts"
import type { LinkHooks } from "./LinkHooks.ts"
import type { ControlFrame } from "./PingEffects.ts"
import { type Batch, Reader } from "./Reader.ts"
import type { SendError } from "./Sending.ts"
import { type Stats, statsOf } from "./Stats.ts"
import { uncaught } from "../runtime/Uncaught.ts"
import type { Writer } from "./Writer.ts"

const noPing = (operation: string) =>
  Effect.fail(
    new Unsupported({
      operation,
      detail: "the WebSocket of this platform sends no Pings (capabilities.ping); its peer may, or use a heartbeat of messages"
    })
  )

const noHeaders: HeaderList = []

/** Marks connections, whatever they run over. */
export const TypeId: unique symbol = Symbol.for("@effect-ws/core/WebSocket")

// Inspectable, so that a log line shows these few fields of a connection and not its inside, where messages wait.
export class Connection extends Inspectable.Class implements LinkHooks {
  readonly [TypeId]: typeof TypeId = TypeId
  readonly subprotocol: string | undefined
  readonly responseHeaders: HeaderList
  readonly link: Link
  readonly reader: Reader
  readonly writer: Writer
  /** What is interrupted after its end: its handler, on a server, and effects that run while it is connected. */
  handler: Lifetime | undefined = undefined
  others: Lifetime | undefined = undefined
  #sending: ((message: Sendable) => Effect.Effect<void, SendError>) | undefined

  constructor(link: Link, writer: Writer, subprotocol: string | undefined, responseHeaders: HeaderList = noHeaders) {
    super()
    this.link = link
    this.subprotocol = subprotocol
    this.responseHeaders = responseHeaders
    this.reader = new Reader(link)
    this.writer = writer
    link.hooks = this
  }

  toJSON(): unknown {
    const { extension, id, role, subprotocol } = this
    return { _id: "WebSocket", id, role, subprotocol, extension, closed: this.link.isClosed }
  }

  // A function, not a method, so that `Stream.runForEach(ws.send)` works. It is made when it is needed, like
  // everything that an idle connection does not need.
  get send(): (message: Sendable) => Effect.Effect<void, SendError> {
    return this.#sending ??= (message) => this.writer.send(message)
  }

  onEnding(hasReaderMoved: boolean): void {
    this.handler?.advance(this, hasReaderMoved)
    for (let one = this.others; one !== undefined; one = one.next) one.advance(this, hasReaderMoved)
  }

  /** The handler ends by itself. */
  handlerEnds(): void {
    this.handler?.end()
    this.handler = undefined
  }

  get role() {
    return this.link.protocol.role
  }

  get id() {
    return this.link.serial
  }

  get extension() {
    return this.link.extension
  }

  get capabilities() {
    return this.link.capabilities
  }

  get messages(): Stream.Stream<Message, ProtocolError | IOError> {
    return this.reader.messages
  }

  get batches(): Stream.Stream<Batch, ProtocolError | IOError> {
    return this.reader.batches
  }

  get drain() {
    return this.reader.drain
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

  // Functions by getters: they can be handed on, as in `Effect.flatMap(from.closed, to.closeAs)`, and a connection holds none of them.

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

  get sendTextStream() {
    return <E, R>(fragments: Stream.Stream<string, E, R>) => this.link.sendStream(this.writer, "text", fragments)
  }

  get sendBinaryStream() {
    return <E, R>(fragments: Stream.Stream<Uint8Array, E, R>) => this.link.sendStream(this.writer, "binary", fragments)
  }

  get sink(): Sink.Sink<void, Sendable, never, SendError> {
    const { writer } = this
    return Sink.fromTransform((upstream) => drainInto(writer, upstream))
  }

  get offerUnsafe(): (message: Sendable) => boolean {
    return (message) => this.writer.offer(message)
  }

  get flush() {
    return this.writer.flush
  }

  get dropped() {
    return Effect.sync(() => this.writer.dropped)
  }

  get ping() {
    return (token?: Uint8Array): Effect.Effect<Duration.Duration, SendError | InvalidArgument | Unsupported> =>
      this.link.pings?.ping(this.writer, token) ?? noPing("ping")
  }

  get sendPing() {
    return (token?: Uint8Array): Effect.Effect<void, SendError | InvalidArgument | Unsupported> =>
      this.link.pings?.sendPing(this.writer, token) ?? noPing("sendPing")
  }

  get controls(): Stream.Stream<ControlFrame> {
    const { pings } = this.link
    // A platform shows none: they end with the connection.
    return pings === undefined ? Stream.fromEffectDrain(this.closed) : pings.controls(this.writer)
  }

  get close() {
    return (code?: number, reason = ""): Effect.Effect<CloseInfo, InvalidArgument> => {
      const checked = checkClose(this.role, code, reason)
      return Result.isFailure(checked) ? Effect.fail(checked.failure) : this.#finish(() => this.writer.close(code, reason))
    }
  }

  get closeAs() {
    return ({ code, reason }: CloseInfo): Effect.Effect<CloseInfo> =>
      this.#finish(() => {
        // There was no Close: the connection ends here without one, too.
        if (code === 1006 || code === 1015) this.cut("The connection that closeAs was given ended without a Close frame")
        else if (code === 1005) this.writer.close(undefined, "")
        else if (Result.isSuccess(checkClose(this.role, code, reason))) this.writer.close(code, reason)
        else this.writer.close(1011, "")
      })
  }

  /** Bounded by the close deadline: nothing waits for a peer that neither takes nor sends anything. */
  #finish(close: () => void): Effect.Effect<CloseInfo> {
    return Effect.suspend(() => {
      close()
      return this.#when("done", () => this.link.isClosed || this.link.isDone)
    })
  }

  get closing(): Effect.Effect<CloseInfo> {
    return this.#when("closing", () => this.link.isClosing)
  }

  get closed(): Effect.Effect<CloseInfo> {
    return this.#when("closed", () => this.link.isClosed)
  }

  #when(what: EndStep, isSo: () => boolean): Effect.Effect<CloseInfo> {
    const { link } = this
    return Effect.callback<CloseInfo>((resume) => {
      if (isSo()) {
        resume(Effect.succeed(link.closeInfo))
        return
      }
      const offs = [link.once(what, settle)]
      // A closed connection needs no further closing.
      if (what === "done") offs.push(link.once("closed", settle))
      function settle() {
        for (const off of offs) off()
        resume(Effect.succeed(link.closeInfo))
      }
      return Effect.sync(() => offs.forEach((off) => off()))
    })
  }

  /** Why nothing more can be received, once it has closed. */
  get failure(): ConnectionClosed | ProtocolError | IOError {
    const { closeInfo, readFailure } = this.link
    return readFailure ?? new ConnectionClosed({ info: closeInfo })
  }

  get stats(): Effect.Effect<Stats> {
    return Effect.sync(() => statsOf(this.link))
  }

  /** Sends the Close at once, without waiting for a turn. */
  goAway(code: number, reason = ""): void {
    this.writer.beforeClose()
    this.link.close(code, reason)
  }

  /** Drops the connection without a closing handshake. */
  cut(detail: string): void {
    this.link.break(new IOError({ phase: "close", reason: "Aborted", detail }))
  }

  /**
   * Closes with the code for the exit, and waits until everything is over or the peer is silent.
   * The caller's fiber must not be interruptible.
   */
  release(exit: Exit.Exit<unknown, unknown>, closeCodeFor: CloseCodeFor | undefined): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const { link } = this
      this.handlerEnds()
      if (link.isOpen) {
        this.writer.beforeClose()
        const { code, reason } = closeWith(this.role, exit, closeCodeFor, link.owner?.closeWith?.(this))
        link.close(code, reason ?? "")
      }
      const released = () => {
        link.abandon()
        resume(Effect.void)
      }
      if (link.isDone) released()
      else link.once("done", released)
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
    // The connection is closed anyway.
    uncaught(defect)
    return internalError
  }
}

/** Sends all that a stream brings: one effect, which each batch goes through. */
const drainInto = (
  writer: Writer,
  upstream: Pull.Pull<NonEmptyReadonlyArray<Sendable>>
): Effect.Effect<Sink.End<void>, SendError> => {
  const next: Effect.Effect<Sink.End<void>, SendError> = Effect.matchCauseEffect(upstream, {
    onSuccess: (messages) => {
      const sent = writer.sendAllNow(messages)
      return sent === Effect.void ? next : Effect.flatMap(sent, () => next)
    },
    onFailure: atEnd
  })
  return next
}

const ended: Effect.Effect<Sink.End<void>> = Effect.succeed([undefined])

const atEnd = (cause: Cause.Cause<SendError | Cause.Done>): Effect.Effect<Sink.End<void>, SendError> =>
  Pull.isDoneCause(cause) ? ended : Effect.failCause(cause as Cause.Cause<SendError>)
