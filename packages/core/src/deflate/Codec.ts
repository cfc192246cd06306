/**
 * What permessage-deflate needs from a platform: raw DEFLATE (RFC 1951) with contexts that
 * can live as long as a connection. Everything is synchronous and never throws.
 */
import * as Context from "effect/Context"
import type { DecodeFailure } from "../MessageExtension.ts"

/**
 * Compresses the messages of one direction, with the window of earlier ones.
 *
 * **Details**
 *
 * `push` compresses some bytes of a message and returns the output so far, possibly empty.
 * With `last` the result completes the message as RFC 7692 §7.2.1 sends it: a flush to a byte
 * boundary without its last four bytes, `00 00 ff ff`. The caller may keep the result. `reset`
 * forgets the window. Nothing is called after `close`.
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
 * Inflates the messages of one direction, with the window of earlier ones.
 *
 * **Details**
 *
 * - `push` passes the next bytes of a message; they remain valid until `next` returns
 *   `undefined`. With `last` they are inflated as if `00 00 ff ff` followed (RFC 7692 §7.2.2),
 *   and must then end at a boundary between blocks.
 * - `next` does a bounded step, at most 2 MiB of output in well under 5 ms, and returns its
 *   output, possibly empty, which the caller may keep. It returns `undefined` once everything
 *   that was pushed is inflated, and a failure for invalid input, then and from then on.
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
 * Options of a compressor: `windowBits` 9 to 15, `level` 1 to 9, `memLevel` 1 to 9.
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
 * Options of a decompressor: `windowBits`, 8 to 15, is the largest window that the peer uses.
 * A codec may use a larger one.
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
 * To add DEFLATE on another platform. `@effect-ws/node` provides Node's.
 *
 * **Details**
 *
 * - `available`: whether this platform has DEFLATE. If not, nothing is offered and every offer
 *   is declined.
 * - `compressorBytes`, `decompressorBytes`: the memory of one, for the budget.
 * - `sliceSize`: the most bytes to push into a compressor of a level at once, chosen so that
 *   one call takes less than 5 ms.
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
