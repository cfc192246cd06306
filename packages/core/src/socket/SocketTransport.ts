/**
 * A transport over any Effect `Socket`, for every platform. A fiber pulls bytes and delivers them.
 * Every write is copied, because a `Socket` does not say when it has taken the bytes.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { Primitives } from "../Primitives.ts"
import type { Transport, TransportHandlers } from "../Transport.ts"
import { codeOf, reasonOf } from "../runtime/SystemCodes.ts"
import { IOError } from "../WebSocketError.ts"

// Written in pieces, so that a slow write can be distinguished from a stalled one, and a large payload is not
// copied whole.
const maxPiece = 64 * 1024

/** Turns a socket's error into an `IOError`. An orderly end of the stream is no error. */
const ioError = (phase: IOError["phase"], error: Socket.SocketError): IOError => {
  const { reason } = error
  if (reason._tag === "SocketOpenError" && reason.kind === "Timeout") {
    return new IOError({ phase, reason: "TimedOut", detail: "The socket did not open in time", cause: error })
  }
  const known = reason._tag === "SocketCloseError" ? "Reset" : reasonOf(codeOf(error))
  const reset = known === "Reset"
  return new IOError({
    phase,
    reason: known,
    detail: reset ? "The connection was reset" : `The socket failed: ${error.message}`,
    cause: error
  })
}

const isOrderly = (error: Socket.SocketError): boolean =>
  error.reason._tag === "SocketCloseError" && error.reason.code === 1000

/**
 * Opens a socket as a transport. The scope holds it.
 */
export const make = (
  socket: Socket.Socket,
  primitives: Primitives
): Effect.Effect<Transport, IOError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const readScope = yield* Scope.fork(scope)
    const writeScope = yield* Scope.fork(scope)
    const { pull } = yield* socket.reader.pipe(
      Scope.provide(readScope),
      Effect.mapError((error) => ioError("connect", error))
    )
    const writer = yield* Scope.provide(socket.writer, writeScope)
    const context = yield* Effect.context()
    const fork = Effect.runForkWith(context)
    return new SocketTransport(pull, writer, readScope, writeScope, fork, primitives)
  })

const deliveredText = (): IOError =>
  new IOError({
    phase: "read",
    reason: "Unknown",
    detail: "The Socket delivers text, so it is not a stream of bytes but a WebSocket that frames messages by itself. Connect " +
      "with NativeWebSocketClient, or make a MessageTransport of it"
  })

class SocketTransport implements Transport {
  readonly chunks = "owned"
  readonly primitives: Primitives

  private readonly pull: Effect.Effect<ReadonlyArray<Uint8Array | string>, Socket.SocketError>
  private readonly writer: Socket.Writer
  private readonly readScope: Scope.Closeable
  private readonly writeScope: Scope.Closeable
  private readonly fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>

  private handlers!: TransportHandlers
  private readonly flowing = Latch.makeUnsafe(true)
  private paused = false
  private closed = false

  constructor(
    pull: Effect.Effect<ReadonlyArray<Uint8Array | string>, Socket.SocketError>,
    writer: Socket.Writer,
    readScope: Scope.Closeable,
    writeScope: Scope.Closeable,
    fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>,
    primitives: Primitives
  ) {
    this.pull = pull
    this.writer = writer
    this.readScope = readScope
    this.writeScope = writeScope
    this.fork = fork
    this.primitives = primitives
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers
    const next: Effect.Effect<void, Socket.SocketError> = Effect.flatMap(this.pull, (chunks) => this.push(chunks, 0))
    this.fork(
      Effect.matchEffect(Effect.forever(next), {
        onSuccess: () => Effect.void,
        onFailure: (error) => Effect.sync(() => this.onReadEnd(error))
      })
    )
  }

  private push(chunks: ReadonlyArray<Uint8Array | string>, from: number): Effect.Effect<void> {
    for (let at = from; at < chunks.length; at++) {
      if (this.closed) return Effect.void
      if (this.paused) return Effect.andThen(this.flowing.await, Effect.suspend(() => this.push(chunks, at)))
      const chunk = chunks[at]
      if (typeof chunk === "string") return Effect.sync(() => this.close(deliveredText()))
      if (chunk.length > 0) this.handlers.onData(chunk)
    }
    return this.paused ? this.flowing.await : Effect.void
  }

  private onReadEnd(error: Socket.SocketError): void {
    if (isOrderly(error)) {
      if (!this.closed) this.handlers.onEnd()
    } else {
      this.close(ioError("read", error))
    }
  }

  pause(): void {
    this.paused = true
    this.flowing.closeUnsafe()
  }

  resume(): void {
    this.paused = false
    this.flowing.openUnsafe()
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    const fiber = this.fork(
      Effect.matchEffect(this.writeChunks(chunks), {
        onSuccess: () => Effect.sync(() => this.onWritten()),
        onFailure: (error) => Effect.sync(() => this.close(ioError("write", error)))
      })
    )
    if (fiber.pollUnsafe() !== undefined) return true
    this.writing = true
    return false
  }

  private pending = 0
  pendingBytes(): number {
    return this.pending
  }

  private writeChunks(chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void, Socket.SocketError> {
    for (const chunk of chunks) this.pending += chunk.length
    let at = 0
    let offset = 0
    const next: Effect.Effect<void, Socket.SocketError> = Effect.suspend(() => {
      if (this.closed) return Effect.void
      const piece = this.primitives.allocate(Math.min(this.pending, maxPiece))
      for (let filled = 0; filled < piece.length;) {
        const part = chunks[at].subarray(offset, offset + piece.length - filled)
        piece.set(part, filled)
        filled += part.length
        offset += part.length
        if (offset === chunks[at].length) {
          at++
          offset = 0
        }
      }
      return Effect.flatMap(this.writer.write(piece), () => {
        this.pending -= piece.length
        return this.pending > 0 ? next : Effect.void
      })
    })
    return next
  }

  // The result of `write` reports a write that ended within it.
  private writing = false
  private onWritten(): void {
    if (!this.writing) return
    this.writing = false
    if (!this.closed) this.handlers.onTaken()
  }

  end(): void {
    this.fork(Scope.close(this.writeScope, Exit.void))
  }

  destroy(): void {
    this.close(undefined)
  }

  private close(error: IOError | undefined): void {
    if (this.closed) return
    this.closed = true
    this.resume()
    // A Close event drops output that a blocked peer would never take.
    this.fork(
      Effect.ignore(this.writer.write(new Socket.CloseEvent(1000))).pipe(
        Effect.andThen(Scope.close(this.writeScope, Exit.void)),
        Effect.andThen(Scope.close(this.readScope, Exit.void))
      )
    )
    this.handlers.onClosed(error)
  }
}
