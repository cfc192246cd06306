/** Frames of the load generator, built before the clock runs. It shares no code with the library that it measures. */
import { randomBytes } from "node:crypto"
import { constants, deflateRawSync } from "node:zlib"

export type Content = "binary" | "ascii" | "unicode"

export interface FramesOptions {
  readonly content: Content
  /** Bytes of the payload. */
  readonly size: number
  readonly count: number
  /** Client to server (RFC 6455 §5.3). */
  readonly masked: boolean
  /** As permessage-deflate, each message for itself: a sender need not use the context that it has. */
  readonly deflated: boolean
}

/**
 * Messages with contents of their own, so that one in another's place is seen, and their frames. The frames lie twice
 * in a row: however many are next, they are one piece of `bytes`.
 */
export interface Frames {
  readonly opcode: number
  readonly payloads: ReadonlyArray<Buffer>
  readonly bytes: Buffer
  /** Where each frame begins, and where the last one ends. */
  readonly offsets: ReadonlyArray<number>
}

/** What ends each flush of a deflater, and is not sent (RFC 7692 §7.2.1). */
export const flushTail = Buffer.from([0, 0, 0xff, 0xff])

const alphabets = {
  ascii: "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789",
  unicode: "aäßжЩ語界日本€한🦊🎉z"
}

const text = (characters: string, size: number): Buffer => {
  const all = [...characters]
  const picks = randomBytes(size)
  let made = ""
  for (let i = 0, left = size; left > 0; i++) {
    const next = all[picks[i]! % all.length]!
    const length = Buffer.byteLength(next)
    // The size is met exactly, with the last characters of one byte.
    made += length <= left ? next : "."
    left -= length <= left ? length : 1
  }
  return Buffer.from(made)
}

/** Repetitive as real messages are: random letters would hardly compress. */
const json = (size: number): Buffer => {
  let made = "["
  for (let i = 0; made.length < size; i++) {
    const price = Number((Math.random() * 1000).toFixed(2))
    made += `${JSON.stringify({ id: i, price, symbol: "EFCT", side: i % 2 === 0 ? "buy" : "sell" })},`
  }
  return Buffer.from(made.slice(0, size))
}

const payload = ({ content, deflated, size }: FramesOptions): Buffer => {
  if (deflated) return json(size)
  return content === "binary" ? randomBytes(size) : text(alphabets[content], size)
}

export const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 }

export interface FrameOptions {
  readonly masked: boolean
  readonly deflated?: boolean
}

export const frame = (opcode: number, payload: Uint8Array, { deflated = false, masked }: FrameOptions): Buffer => {
  const { length } = payload
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const header = Buffer.alloc(2 + lengthBytes)
  header[0] = 0x80 | (deflated ? 0x40 : 0) | opcode
  header[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127)
  if (lengthBytes === 2) header.writeUInt16BE(length, 2)
  if (lengthBytes === 8) header.writeBigUInt64BE(BigInt(length), 2)
  if (!masked) return Buffer.concat([header, payload])
  const key = randomBytes(4)
  const hidden = Buffer.from(payload)
  unmask(hidden, key)
  return Buffer.concat([header, key, hidden])
}

/** Masks or unmasks in place. */
export const unmask = (bytes: Uint8Array, key: Uint8Array): void => {
  for (let i = 0; i < bytes.length; i++) bytes[i]! ^= key[i & 3]!
}

const deflate = (payload: Buffer): Buffer =>
  deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -flushTail.length)

export const makeFrames = (options: FramesOptions): Frames => {
  const { content, count, deflated, masked } = options
  const opcode = content === "binary" ? opcodes.binary : opcodes.text
  const payloads = Array.from({ length: count }, () => payload(options))
  const frames = payloads.map((one) => frame(opcode, deflated ? deflate(one) : one, { masked, deflated }))
  const bytes = Buffer.concat([...frames, ...frames])
  const offsets = [0]
  for (let i = 0; i < 2 * count; i++) offsets.push(offsets[i]! + frames[i % count]!.length)
  return { opcode, payloads, bytes, offsets }
}
