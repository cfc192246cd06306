/**
 * What permessage-deflate needs from a platform: raw DEFLATE (RFC 1951) with contexts
 * that live as long as a connection. Everything here is synchronous and never throws.
 */
import * as Context from "effect/Context"
import type { DecodeFailure } from "../MessageExtension.ts"

/**
 * Compresses the messages of one direction, with the window of those before.
 *
 * **Details**
 *
 * `push` compresses some bytes of a message and returns what there is so far, perhaps
 * nothing. With `last` the result completes the message as it travels (RFC 7692 §7.2.1):
 * a flush to a byte boundary without its last four bytes, `00 00 ff ff`. The result is
 * the caller's to keep. `reset` forgets the window. Nothing is called after `close`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Compressor {
  readonly push: (bytes: Uint8Array, last: boolean) => Uint8Array
  readonly reset: () => void
  readonly close: () => void
}

/**
 * Inflates the messages of one direction, with the window of those before.
 *
 * **Details**
 *
 * - `push` gives the next bytes of a message; they stay valid until `next` returned
 *   `undefined`. With `last` they are inflated as if `00 00 ff ff` followed (RFC 7692
 *   §7.2.2), and must then end at a boundary between blocks.
 * - `next` does a bounded step, at most 2 MiB of output in well under 5 ms, and returns
 *   its output, perhaps empty, which is the caller's to keep; `undefined` once all that
 *   was pushed is inflated; a failure where it is no DEFLATE, and from then on.
 * - After a final block (BFINAL) the next one starts with an empty window.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decompressor {
  readonly push: (bytes: Uint8Array, last: boolean) => void
  readonly next: () => Uint8Array | DecodeFailure | undefined
  readonly reset: () => void
  readonly close: () => void
}

/**
 * How a compressor works: `windowBits` 9 to 15, `level` 1 to 9, `memLevel` 1 to 9.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompressorOptions {
  readonly windowBits: number
  readonly level: number
  readonly memLevel: number
}

/**
 * How a decompressor works: `windowBits`, 8 to 15, is the largest window that the peer
 * uses; a codec may take a larger one.
 *
 * @category models
 * @since 0.1.0
 */
export interface DecompressorOptions {
  readonly windowBits: number
}

/**
 * The codec of a platform.
 *
 * **When to use**
 *
 * To bring DEFLATE to a platform that has none here; `@effect-ws/node` provides Node's.
 *
 * **Details**
 *
 * - `available`: whether this platform can do it at all; if not, nothing is offered and
 *   every offer declined.
 * - `compressorBytes`, `decompressorBytes`: the memory of one, for the budget.
 * - `sliceSize`: the most bytes to push into a compressor of that level at once, such
 *   that one call takes less than 5 ms.
 *
 * @category services
 * @since 0.1.0
 */
export class Codec extends Context.Service<Codec, {
  readonly available: boolean
  readonly compressor: (options: CompressorOptions) => Compressor
  readonly compressorBytes: (options: CompressorOptions) => number
  readonly decompressor: (options: DecompressorOptions) => Decompressor
  readonly decompressorBytes: (options: DecompressorOptions) => number
  readonly sliceSize: (level: number) => number
}>()("@effect-ws/core/PerMessageDeflate/Codec") {}
