/** Masking against the byte loop of RFC 6455 §5.3. */
import { maskInPlace, maskInto } from "../../packages/core/src/codec/Mask.ts"
import { table } from "./run.ts"

const key = 0x9d3f21a7 | 0
const keyBytes = Uint8Array.of(0xa7, 0x21, 0x3f, 0x9d)

const byteLoop = (bytes: Uint8Array, start: number, end: number): void => {
  for (let i = start; i < end; i++) bytes[i]! ^= keyBytes[(i - start) & 3]!
}

const byteLoopInto = (source: Uint8Array, target: Uint8Array, targetStart: number): void => {
  for (let i = 0; i < source.length; i++) target[targetStart + i] = source[i]! ^ keyBytes[i & 3]!
}

const sizes = [8, 16, 32, 64, 128, 192, 256, 1024, 16384, 1 << 20]

export const benchmark = (): void => {
  // Payloads rarely begin at a word: 6 bytes is a short masked header.
  table("mask in place", sizes, (bytes) => {
    const buffer = new Uint8Array(bytes + 16)
    return [
      { name: "bytes", bytes, run: () => byteLoop(buffer, 6, 6 + bytes) },
      { name: "words", bytes, run: () => maskInPlace(buffer, 6, 6 + bytes, key, 0) }
    ]
  })
  table("mask into", sizes, (bytes) => {
    const source = new Uint8Array(bytes)
    const target = new Uint8Array(bytes + 16)
    return [
      { name: "bytes", bytes, run: () => byteLoopInto(source, target, 6) },
      { name: "words", bytes, run: () => maskInto(source, 0, bytes, target, 6, key, 0) }
    ]
  })
}
