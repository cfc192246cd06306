/**
 * DEFLATE for permessage-deflate by Node's zlib, synchronous, with contexts that live as long as a
 * connection.
 *
 * @since 0.1.0
 */
import { PerMessageDeflate } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HandleCodec from "./deflate/HandleCodec.ts"
import * as MessageCodec from "./deflate/MessageCodec.ts"
import { Portable } from "./transport/Transports.ts"

// A context without its arrays: the state of zlib (6 to 7 KiB) and the stream's objects.
const overhead = 12 * 1024

// zlib as Node builds it hashes with at least 15 bits where the processor can, whatever
// the memLevel says: two bytes for each.
const leastHashBits = 15

const compressorBytes = ({ memLevel, windowBits }: PerMessageDeflate.CompressorOptions): number =>
  (4 << windowBits) + (2 << Math.max(memLevel + 7, leastHashBits)) + (4 << (memLevel + 6)) + overhead

const decompressorBytes = ({ windowBits }: PerMessageDeflate.DecompressorOptions): number =>
  (1 << windowBits) + overhead + 2048

// The bytes that take at most about 4 ms by level, of the slowest input that was found (random letters out of two
// or four): 64 KiB of it take 2 ms at level 4, 16 at level 6, 215 at level 9.
// Ordinary text takes 1 to 2 ms for 64 KiB at level 6.
const sliceSizes = [64, 64, 64, 64, 32, 16, 8, 2, 1].map((size) => size * 1024)

const sizes = {
  available: true,
  compressorBytes,
  decompressorBytes,
  sliceSize: (level: number) => sliceSizes[level - 1] ?? 1024
}

const byHandles: PerMessageDeflate.Codec["Service"] = {
  ...sizes,
  compressor: HandleCodec.compressor,
  decompressor: HandleCodec.decompressor
}

const byMessages: PerMessageDeflate.Codec["Service"] = {
  ...sizes,
  compressor: MessageCodec.compressor,
  decompressor: MessageCodec.decompressor
}

/**
 * {@link codec}, or the codec that uses documented interfaces only.
 *
 * @internal
 */
export const codecOf = (isPortable: boolean): PerMessageDeflate.Codec["Service"] =>
  !isPortable && HandleCodec.isSupported() ? byHandles : MessageCodec.isSupported() ? byMessages : { ...byMessages, available: false }

/**
 * The codec by Node's zlib.
 *
 * **Details**
 *
 * It uses the handles of zlib's streams, which continue from one message to the next. Node does not document
 * them, so they are tried first. Where they do not work as expected, or with documented interfaces only (see
 * `NodeTuning.Portable`), each message gets a context of its own, which costs about 100 µs more.
 *
 * Measured per context: 268 KiB to deflate and 48 KiB to inflate with full windows and
 * memLevel 8; 78 and 14 KiB with windows of 9 bits and memLevel 1.
 *
 * @category constants
 * @since 0.1.0
 */
export const codec: PerMessageDeflate.Codec["Service"] = {
  ...sizes,
  compressor: (options) => codecOf(false).compressor(options),
  decompressor: (options) => codecOf(false).decompressor(options)
}

/**
 * Provides {@link codec}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<PerMessageDeflate.Codec> = Layer.effect(
  PerMessageDeflate.Codec,
  Effect.map(Portable, codecOf)
)
