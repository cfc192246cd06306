/**
 * Node's own primitives: Buffer's UTF-8, which beats `TextDecoder` and
 * `TextEncoder` on short texts, and memory that is not zeroed before it is
 * overwritten.
 *
 * @since 0.1.0
 */
import { Primitives } from "@effect-ws/core"
import { Buffer, isUtf8 } from "node:buffer"
import { hash, randomFillSync } from "node:crypto"
import { onAllocated } from "./undocumented/YoungCollections.ts"

/** `utf8Slice`, `latin1Slice` and `utf8Write` are Buffer's methods; they work on any `Uint8Array`. */
interface Utf8Methods {
  readonly utf8Slice: (this: Uint8Array, start: number, end: number) => string
  readonly latin1Slice: (this: Uint8Array, start: number, end: number) => string
  readonly utf8Write: (this: Uint8Array, text: string, offset: number, length: number) => number
}

// Not in Node's documentation, so looked for, with what is there as the fallback.
const methods = Buffer.prototype as Partial<Utf8Methods>
const { latin1Slice, utf8Slice, utf8Write } = methods

/**
 * The primitives of connections on Node.
 *
 * @category constants
 * @since 0.1.0
 */
export const primitives: Primitives.Primitives = {
  decodeUtf8: utf8Slice === undefined
    ? Primitives.portable.decodeUtf8
    : (bytes, start, end) => utf8Slice.call(bytes, start, end),
  // Of ASCII the same: a quarter faster at 1 KiB.
  decodeAscii: latin1Slice === undefined ? undefined : (bytes, start, end) => latin1Slice.call(bytes, start, end),
  isUtf8: (bytes, start, end) => isUtf8(bytes.subarray(start, end)),
  encodeUtf8Into: utf8Write === undefined
    ? Primitives.portable.encodeUtf8Into
    : (text, target, offset) => utf8Write.call(target, text, offset, target.length - offset),
  utf8Length: (text) => Buffer.byteLength(text),
  // A plain Uint8Array with memory of its own: payloads are handed to users, and a
  // Buffer would slice differently, its pool be shared.
  allocate: (size) => {
    onAllocated(size)
    const buffer = Buffer.allocUnsafeSlow(size)
    return new Uint8Array(buffer.buffer, buffer.byteOffset, size)
  },
  randomFill: (bytes) => {
    randomFillSync(bytes)
  },
  sha1: (text) => hash("sha1", text, "base64")
}
