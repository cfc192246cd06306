/**
 * The frames of any Effect `Socket`: bytes in, frames out. There is no handshake, and no
 * state but the frame that is being received.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as FrameDecoder from "./FrameDecoder.ts"
import type { Frame } from "./Frame.ts"
import { codeOf, reasonOf } from "./runtime/SystemCodes.ts"
import { IOError, type ProtocolError } from "./WebSocketError.ts"

const toIOError = ({ reason }: Socket.SocketError): IOError => {
  switch (reason._tag) {
    case "SocketOpenError":
      return reason.kind === "Timeout"
        ? new IOError({ phase: "connect", reason: "TimedOut", detail: reason.message, cause: reason.cause })
        : new IOError({ phase: "connect", reason: reasonOf(codeOf(reason.cause)), detail: reason.message, cause: reason.cause })
    case "SocketUpgradeError":
      return new IOError({ phase: "connect", reason: "Tls", detail: reason.message, cause: reason.cause })
    case "SocketWriteError":
      return new IOError({ phase: "write", reason: reasonOf(codeOf(reason.cause)), detail: reason.message, cause: reason.cause })
    case "SocketReadError":
      return new IOError({
        phase: "read",
        reason: reasonOf(codeOf(reason.cause)),
        detail: reason.message,
        cause: reason.cause
      })
    case "SocketCloseError":
      return new IOError({
        phase: "read",
        reason: reason.code === 1006 ? "Reset" : "Unknown",
        detail: `the socket closed with ${reason.message}`
      })
  }
}

const insideFrame = () =>
  new IOError({ phase: "read", reason: "EndOfStream", detail: "the socket ended inside a frame" })

type BatchPull = Pull.Pull<Arr.NonEmptyReadonlyArray<Frame>, ProtocolError | IOError>

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

// Returns all frames that the socket had, at least one. `restore` makes the wait for the
// socket interruptible, and nothing else: what was read is always decoded.
const makePull = (
  socket: Socket.Socket,
  options: FrameDecoder.Options | undefined
): Effect.Effect<(restore: Restore) => BatchPull, IOError, Scope.Scope> =>
  Effect.mapError(
    Effect.map(Socket.readerBytes(socket), (read) => {
      const decoder = FrameDecoder.make(options)
      let failure: ProtocolError | IOError | "end" | undefined

      const failed = (): BatchPull => failure === "end" ? Cause.done() : Effect.fail(failure!)
      const closed = (error: Socket.SocketError): BatchPull => {
        const orderly = error.reason._tag === "SocketCloseError" && error.reason.code === 1000
        failure = !orderly ? toIOError(error) : decoder.isEmpty() ? "end" : insideFrame()
        return failed()
      }
      const pull = (restore: Restore): BatchPull =>
        Effect.suspend(() =>
          failure !== undefined
            ? failed()
            : Effect.matchEffect(restore(read), {
              onFailure: closed,
              onSuccess: (chunks) => {
                const frames: Array<Frame> = []
                for (const chunk of chunks) {
                  const decoded = decoder.push(chunk)
                  for (const frame of decoded.frames) frames.push(frame)
                  if (decoded.error !== undefined) {
                    failure = decoded.error
                    break
                  }
                }
                // Frames before a violation are handed out first.
                return Arr.isReadonlyArrayNonEmpty(frames) ? Effect.succeed(frames) : pull(restore)
              }
            })
        )
      return pull
    }),
    toIOError
  )

/**
 * The frames of a socket, until it ends.
 *
 * **Details**
 *
 * - Running the stream opens the socket; its end closes it. Reading has backpressure.
 * - The stream ends when the socket closes with 1000 between two frames. A socket that ends
 *   inside a frame fails with an `IOError` (`EndOfStream` during `read`), and so does every
 *   other way in which it closes.
 * - A broken rule fails with a `ProtocolError`, after the frames before it.
 * - Control frames are frames like others: nothing is answered.
 *
 * **Example** (Reading frames)
 *
 * ```ts
 * import { FrameSocket } from "@effect-ws/core"
 * import { Effect, Stream } from "effect"
 * import { Socket } from "effect/socket"
 *
 * const program = Effect.gen(function*() {
 *   const socket = yield* Socket.Socket
 *   yield* FrameSocket.frames(socket, { mask: "forbidden" }).pipe(
 *     Stream.runForEach((frame) => Effect.log(frame.opcode, frame.data.length))
 *   )
 * })
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const frames = (
  socket: Socket.Socket,
  options?: FrameDecoder.Options
): Stream.Stream<Frame, ProtocolError | IOError> =>
  Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.map(Scope.provide(makePull(socket, options), scope), (pull) => Effect.uninterruptibleMask(pull))
    )
  )

/**
 * Reads a socket frame by frame.
 *
 * **Details**
 *
 * `next` is the next frame. It fails with `Cause.Done` where {@link frames} ends.
 * Interrupting `next` loses nothing: what had arrived is returned by the one after it.
 *
 * **Gotchas**
 *
 * One `next` at a time.
 *
 * @category models
 * @since 0.1.0
 */
export interface FrameReader {
  readonly next: Pull.Pull<Frame, ProtocolError | IOError>
}

/**
 * Opens a socket to read single frames. Bytes after a frame are kept for the next one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reader = (
  socket: Socket.Socket,
  options?: FrameDecoder.Options
): Effect.Effect<FrameReader, IOError, Scope.Scope> =>
  Effect.map(makePull(socket, options), (pull) => {
    let batch: ReadonlyArray<Frame> = []
    let used = 0
    const take = (): Frame => batch[used++]!
    const fill = Effect.uninterruptibleMask((restore) =>
      Effect.map(pull(restore), (frames) => {
        batch = frames
        used = 0
      })
    )
    // A frame is taken in the last step, so an interruption before it takes none.
    const next: Pull.Pull<Frame, ProtocolError | IOError> = Effect.suspend(() =>
      used < batch.length ? Effect.succeed(take()) : Effect.andThen(fill, Effect.sync(take))
    )
    return { next }
  })

/**
 * The next frame of a reader.
 *
 * @category streams
 * @since 0.1.0
 */
export const recvFrame = (reader: FrameReader): Pull.Pull<Frame, ProtocolError | IOError> => reader.next
