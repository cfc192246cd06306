/** Node's primitives: with all of its interfaces, and with documented ones only. */
import { Primitives } from "@effect-ws/core"
import { Buffer, isUtf8 } from "node:buffer"
import { hash, randomFillSync } from "node:crypto"
import * as BufferText from "../undocumented/BufferText.ts"
import * as YoungCollections from "../undocumented/YoungCollections.ts"

// Nearly everything that is decoded lies in the memory that connections read into, so one Buffer around it is kept:
// a third of the time of `TextDecoder` for short texts. Larger memory may belong to a message and would be held.
const keptUpTo = 2 * 1024 * 1024
let known: Buffer = Buffer.alloc(0)

const bufferOn = (memory: ArrayBufferLike): Buffer => {
  if (known.buffer === memory && known.length === memory.byteLength) return known
  const buffer = Buffer.from(memory)
  if (memory.byteLength <= keptUpTo) known = buffer
  return buffer
}

export const documented: Primitives.Primitives = {
  ...Primitives.portable,
  decodeUtf8: (bytes, start, end) =>
    bufferOn(bytes.buffer).toString("utf8", bytes.byteOffset + start, bytes.byteOffset + end),
  decodeAscii: (bytes, start, end) =>
    bufferOn(bytes.buffer).toString("latin1", bytes.byteOffset + start, bytes.byteOffset + end),
  isUtf8: (bytes, start, end) => isUtf8(bytes.subarray(start, end)),
  utf8Length: (text) => Buffer.byteLength(text),
  // A plain Uint8Array with memory of its own, because users get payloads: a Buffer would slice differently, and its
  // pool would be shared.
  allocate: (size) => {
    YoungCollections.onAllocated(size)
    const buffer = Buffer.allocUnsafeSlow(size)
    return new Uint8Array(buffer.buffer, buffer.byteOffset, size)
  },
  randomFill: (bytes) => {
    randomFillSync(bytes)
  },
  sha1: (text) => hash("sha1", text, "base64")
}

export const primitives: Primitives.Primitives = { ...documented, ...BufferText.primitives }
