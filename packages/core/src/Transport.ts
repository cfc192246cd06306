/**
 * The byte stream under a connection, as plain callbacks: it *pushes* chunks, and is paused
 * and resumed. The same small interface fits a Node socket, an Effect `Socket`, an HTTP/2
 * stream and a pair in memory.
 *
 * @since 0.1.0
 */
import type { Primitives } from "./Primitives.ts"
import type { IOError } from "./WebSocketError.ts"

export {
  /**
   * An error of the system's as an `IOError`, by its code or that of its cause.
   *
   * **When to use**
   *
   * In a transport of your own, for the error that ended the connection.
   *
   * @category errors
   * @since 0.1.0
   */
  toIOError
} from "./runtime/SystemCodes.ts"

/**
 * What a transport calls on its connection. These are methods, to be called on the object,
 * and none throws. `write`, `pause` and `end` call none of them before they return, except
 * `onClosed`; `start`, `resume` and `destroy` may.
 *
 * **Details**
 *
 * - `onData`: bytes arrived, at least one. A chunk is valid during the call only, unless
 *   {@link Transport.chunks} says otherwise. After `pause()` it is not called until
 *   `resume()`.
 * - `onEnd`: the peer ended its half; no `onData` follows.
 * - `onTaken`: everything passed to `write` so far has been taken. It is called once after
 *   a `write` that returned `false`, and not after one that returned `true`.
 * - `onClosed`: the transport is closed, with the error that ended it, or `undefined` after
 *   an orderly end. Called exactly once; nothing follows.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransportHandlers {
  onData(chunk: Uint8Array): void
  onEnd(): void
  onTaken(): void
  onClosed(error: IOError | undefined): void
}

/**
 * A byte stream in both directions.
 *
 * **Details**
 *
 * - `chunks` says who owns the bytes passed to `onData`. `"borrowed"`: valid during the call,
 *   must not be written to. `"scratch"`: valid during the call, may be overwritten (so frames
 *   are unmasked in place). `"owned"`: given away for good, may be overwritten and kept (so
 *   users may get views of it).
 * - `start` begins to read. Called exactly once.
 * - `write` writes chunks in order, as one write. `true`: all bytes are taken and the buffers
 *   may be reused at once. `false`: the transport still reads from the buffers. It calls
 *   `onTaken` when it no longer does, and nothing is written before that.
 * - `pendingBytes`, where the transport knows it, returns how many bytes of the last write
 *   are not taken yet. It distinguishes a slow write from a stalled one.
 * - `end` sends the end of stream after what was written.
 * - `unref`, where the platform has it, lets the process end although the transport is open:
 *   the connection has ended for its program, and only the peer's end is missing. Writes that
 *   were not taken yet still keep the process.
 * - `destroy` drops the transport at once; `onClosed` follows unless it was called before.
 *   Calling it again does nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transport {
  readonly chunks: "borrowed" | "scratch" | "owned"
  readonly primitives: Primitives
  readonly start: (handlers: TransportHandlers) => void
  readonly pause: () => void
  readonly resume: () => void
  readonly write: (chunks: ReadonlyArray<Uint8Array>) => boolean
  readonly pendingBytes?: (() => number) | undefined
  readonly end: () => void
  readonly unref?: (() => void) | undefined
  readonly destroy: () => void
}
