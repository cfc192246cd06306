/**
 * What a platform may do faster than portable JavaScript, as one record of
 * plain functions. A transport brings its own (Node: Buffer's); everything else
 * uses {@link portable}. The record is captured when a connection is made and
 * never looked up per message.
 *
 * @since 0.1.0
 */
import { sharedBuffer as makeSharedBuffer } from "./codec/Simd.ts"
import { portableDecodeUtf8, portableEncodeUtf8Into, portableUtf8Length } from "./codec/Utf8Text.ts"

/**
 * The primitives a connection works with.
 *
 * **Details**
 *
 * - `decodeUtf8` decodes `bytes[start, end)`, keeps a leading BOM and replaces
 *   what is not UTF-8 by U+FFFD (it never throws).
 * - `decodeAscii`, where the platform has one that is faster, decodes `bytes[start, end)`
 *   that are all below 0x80.
 * - `isUtf8`, where the platform has one, tells whether `bytes[start, end)` is UTF-8 (RFC 3629).
 * - `encodeUtf8Into` writes `text` as UTF-8 at `offset` and returns the number of
 *   bytes written. The caller guarantees room for three bytes per UTF-16 unit. A
 *   lone surrogate becomes U+FFFD.
 * - `utf8Length` is the exact number of bytes that `encodeUtf8Into` writes.
 * - `allocate` gives a buffer whose contents are about to be overwritten whole.
 * - `randomFill` fills `bytes` from a cryptographically secure source.
 * - `sha1`, where the platform has a synchronous one, gives the SHA-1 of an ASCII text in
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
 * Memory for as long as the program lives, in which frames are unmasked fastest.
 *
 * **When to use**
 *
 * For the buffer that a transport reads into, made once for all connections.
 *
 * **Details**
 *
 * Where the engine has WebAssembly with SIMD the buffer lies in a memory of that, at most
 * 2 MiB in all; otherwise it is an ordinary one. It is never given back, and its
 * `ArrayBuffer` is shared with others: never hand it to a user.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sharedBuffer: (size: number) => Uint8Array<ArrayBuffer> = makeSharedBuffer
