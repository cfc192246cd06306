/**
 * What a platform can do faster than portable JavaScript, as one record of plain functions.
 * A transport brings its own (on Node, Buffer's); everything else uses {@link portable}. The
 * record is read when a connection is made, not for each message.
 *
 * @since 0.1.0
 */
import { sharedBuffer as makeSharedBuffer } from "./codec/Simd.ts"
import { portableDecodeUtf8, portableEncodeUtf8Into, portableUtf8Length } from "./codec/Utf8Text.ts"

/**
 * The primitives of a connection.
 *
 * **Details**
 *
 * - `decodeUtf8` decodes `bytes[start, end)`, keeps a leading BOM and replaces invalid
 *   sequences by U+FFFD. It never throws.
 * - `decodeAscii`, where the platform has a faster one, decodes `bytes[start, end)`, all of
 *   which are below 0x80.
 * - `isUtf8`, where the platform has it, returns whether `bytes[start, end)` is UTF-8 (RFC
 *   3629).
 * - `encodeUtf8Into` writes `text` as UTF-8 at `offset` and returns the number of
 *   bytes written. The caller guarantees room for three bytes per UTF-16 unit. A
 *   lone surrogate becomes U+FFFD.
 * - `utf8Length` is the exact number of bytes that `encodeUtf8Into` writes.
 * - `allocate` returns a buffer that is about to be overwritten completely.
 * - `randomFill` fills `bytes` from a cryptographically secure source.
 * - `sha1`, where the platform has a synchronous one, returns the SHA-1 of an ASCII text in
 *   base64, for the answer to a handshake.
 *
 * @category models
 * @since 0.1.0
 */
export interface Primitives {
  readonly decodeUtf8: (bytes: Uint8Array, start: number, end: number) => string
  readonly decodeAscii?: ((bytes: Uint8Array, start: number, end: number) => string) | undefined
  readonly isUtf8?: ((bytes: Uint8Array, start: number, end: number) => boolean) | undefined
  readonly encodeUtf8Into: (text: string, target: Uint8Array, offset: number) => number
  readonly utf8Length: (text: string) => number
  readonly allocate: (size: number) => Uint8Array<ArrayBuffer>
  readonly randomFill: (bytes: Uint8Array<ArrayBuffer>) => void
  readonly sha1?: ((text: string) => string) | undefined
}

// The limit of one call to getRandomValues (WebCrypto §10.1.1).
const randomAtOnce = 65536

/**
 * The primitives of every JavaScript engine: `TextDecoder`, `TextEncoder` and
 * `crypto.getRandomValues`.
 *
 * **When to use**
 *
 * For a transport of your own on a platform that offers nothing faster.
 *
 * **Example** (Encoding text in place)
 *
 * ```ts
 * import { Primitives } from "@effect-ws/core"
 *
 * const target = Primitives.portable.allocate(16)
 * const written = Primitives.portable.encodeUtf8Into("héllo", target, 0)
 *
 * console.log(written) // 6
 * console.log(Primitives.portable.decodeUtf8(target, 0, written)) // héllo
 * ```
 *
 * @category constants
 * @since 0.1.0
 */
export const portable: Primitives = {
  decodeUtf8: portableDecodeUtf8,
  encodeUtf8Into: portableEncodeUtf8Into,
  utf8Length: portableUtf8Length,
  allocate: (size) => new Uint8Array(size),
  randomFill: (bytes) => {
    for (let start = 0; start < bytes.length; start += randomAtOnce) {
      crypto.getRandomValues(bytes.subarray(start, start + randomAtOnce))
    }
  }
}

/**
 * Allocates memory for the life of the program, in which frames are unmasked fastest.
 *
 * **When to use**
 *
 * For the buffer that a transport reads into, allocated once for all connections.
 *
 * **Details**
 *
 * Where the engine has WebAssembly with SIMD the buffer lies in WebAssembly memory, at most
 * 2 MiB in all; otherwise it is an ordinary buffer. It is never freed, and its `ArrayBuffer`
 * is shared with others: never pass it to a user.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sharedBuffer: (size: number) => Uint8Array<ArrayBuffer> = makeSharedBuffer
