/**
 * Streams of frames as peers send them, and as they do not: legal ones, ones with a fault, and legal ones that were
 * damaged afterwards.
 */
import type { Random } from "./Random.ts"

const encoder = new TextEncoder()

// Borders of the length forms, of the copy limits and of the limits that the targets set.
const sizes = [0, 1, 2, 3, 4, 7, 8, 31, 63, 64, 65, 124, 125, 126, 127, 128, 200, 255, 256, 300]
const largeSizes = [1000, 2047, 2048, 4095, 4096, 8192, 16384, 65535, 65536]
const alphabets = ["a", "aé", "a€z", "😀", "\uFEFFx", "\u0000\uFFFD", "日本語", "\u{10FFFF}\uD7FF\uE000"]
const badUtf8 = [[0xff], [0xc0, 0x80], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf0, 0x9f], [0x80]]
const closeCodes = [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999]
const badCodes = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]

const textOf = (random: Random, size: number): Uint8Array => {
  const letters = random.pick(alphabets)
  let text = ""
  while (text.length < size) text += letters
  return encoder.encode(text).subarray(0, random.chance(20) ? size : undefined)
}

const sizeOf = (random: Random): number => random.chance(300) ? random.pick(largeSizes) : random.pick(sizes)

/** The bytes of a frame, whatever they mean. `lengthForm`: 0, 2 or 8 bytes behind the first two. */
export const frameBytes = (
  firstByte: number,
  payload: Uint8Array,
  key: Uint8Array | undefined,
  lengthForm: number = payload.length < 126 ? 0 : payload.length < 65536 ? 2 : 8
): Uint8Array => {
  const size = 2 + lengthForm + (key === undefined ? 0 : 4)
  const bytes = new Uint8Array(size + payload.length)
  bytes[0] = firstByte
  bytes[1] = (key === undefined ? 0 : 0x80) | (lengthForm === 0 ? payload.length : lengthForm === 2 ? 126 : 127)
  let length = payload.length
  for (let i = lengthForm - 1; i >= 0; i--) {
    bytes[2 + i] = length % 256
    length = Math.floor(length / 256)
  }
  if (key !== undefined) bytes.set(key, size - 4)
  for (let i = 0; i < payload.length; i++) bytes[size + i] = key === undefined ? payload[i] : payload[i] ^ key[i & 3]
  return bytes
}

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  let size = 0
  for (const part of parts) size += part.length
  const bytes = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

const closeBody = (random: Random): Uint8Array => {
  if (random.chance(4)) return new Uint8Array(random.chance(4) ? 1 : 0)
  const code = random.chance(4) ? random.pick(badCodes) : random.pick(closeCodes)
  const reason = random.chance(8) ? Uint8Array.from(random.pick(badUtf8)) : textOf(random, random.below(30))
  return concat([Uint8Array.of(code >> 8, code & 255), reason.subarray(0, 123)])
}

const control = (random: Random, key: () => Uint8Array | undefined): Uint8Array =>
  frameBytes(random.chance(2) ? 0x89 : 0x8a, random.bytes(random.chance(10) ? 125 : random.below(9)), key())

/** One message in one or several frames, with control frames in between, now and then with a fault. */
const message = (random: Random, key: () => Uint8Array | undefined): Array<Uint8Array> => {
  const text = random.chance(2)
  let payload = text ? textOf(random, sizeOf(random)) : random.bytes(sizeOf(random))
  if (text && random.chance(10)) payload = concat([payload, Uint8Array.from(random.pick(badUtf8)), textOf(random, 3)])
  const frames: Array<Uint8Array> = []
  let opcode = text ? 1 : 2
  let at = 0
  for (let more = random.chance(3) ? random.below(5) : 0; more > 0; more--) {
    const end = at + random.size(payload.length - at + 1)
    frames.push(frameBytes(opcode, payload.subarray(at, end), key()))
    if (random.chance(3)) frames.push(control(random, key))
    opcode = random.chance(40) ? random.below(3) : 0
    at = end
  }
  frames.push(frameBytes(0x80 | opcode, payload.subarray(at), key()))
  return frames
}

/** A frame that breaks a rule by itself. */
const faulty = (random: Random, key: () => Uint8Array | undefined): Uint8Array => {
  const payload = random.bytes(random.below(20))
  switch (random.below(7)) {
    case 0:
      return frameBytes(random.next() & 255, payload, key())
    case 1:
      return frameBytes(0x80 | random.below(16), payload, key())
    case 2:
      return frameBytes(0x88 + random.below(3), random.bytes(126 + random.below(3)), key())
    case 3:
      return frameBytes(0x82, payload, random.chance(2) ? undefined : random.bytes(4))
    case 4:
      return frameBytes(0x82, random.bytes(random.pick([0, 20, 124, 125, 126])), key(), random.pick([2, 8]))
    case 5: {
      // A length that is declared and never sent.
      const bytes = frameBytes(0x80 | random.below(3), payload, key(), 8)
      bytes.set(random.bytes(1 + random.below(8)), 2)
      if (random.chance(2)) bytes[2] &= 0x7f
      return bytes
    }
    default:
      return frameBytes(0x80, payload, key())
  }
}

const interesting = [0x00, 0x01, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x88, 0x89, 0xc1, 0xfe, 0xff]

/** The same bytes, damaged in a few places. */
export const mutate = (random: Random, bytes: Uint8Array, other: Uint8Array = bytes): Uint8Array => {
  let mutated = Uint8Array.from(bytes)
  for (let n = 1 + random.size(4); n > 0; n--) {
    const at = random.below(mutated.length + 1)
    switch (random.below(8)) {
      case 0:
        if (at < mutated.length) mutated[at] ^= 1 << random.below(8)
        break
      case 1:
        if (at < mutated.length) mutated[at] = random.pick(interesting)
        break
      case 2:
        if (at < mutated.length) mutated[at] = random.next()
        break
      case 3:
        mutated = Uint8Array.from(concat([mutated.subarray(0, at), random.bytes(1 + random.below(4)), mutated.subarray(at)]))
        break
      case 4:
        mutated = Uint8Array.from(concat([mutated.subarray(0, at), mutated.subarray(at + 1 + random.size(8))]))
        break
      case 5:
        mutated = mutated.slice(0, at)
        break
      case 6: {
        // A part of it, or of another, once more.
        const from = random.below(other.length + 1)
        const part = other.subarray(from, from + random.below(32))
        mutated = Uint8Array.from(concat([mutated.subarray(0, at), part, mutated.subarray(at)]))
        break
      }
      default:
        if (at < mutated.length) mutated[at] = mutated[at] + (random.chance(2) ? 1 : 255)
    }
  }
  return mutated
}

/** What a `sender` sends. */
export const stream = (random: Random, sender: "client" | "server"): Uint8Array => {
  if (random.chance(12)) return random.bytes(random.size(64))
  const zeroKey = random.chance(8)
  const key = () => sender === "server" ? undefined : zeroKey ? new Uint8Array(4) : random.bytes(4)
  const frames: Array<Uint8Array> = []
  for (let n = random.below(6); n > 0; n--) {
    if (random.chance(4)) frames.push(control(random, key))
    else frames.push(...message(random, key))
  }
  if (random.chance(4)) frames.push(faulty(random, key))
  if (random.chance(3)) frames.push(frameBytes(0x88, closeBody(random), key()))
  if (random.chance(8)) frames.push(control(random, key), ...message(random, key))
  const bytes = concat(frames)
  if (random.chance(3)) return mutate(random, bytes)
  return random.chance(6) ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes
}
