/** Frames of the load generator, built before the clock runs. It shares no code with the library that it measures. */
import { randomBytes } from "node:crypto"
import { constants, deflateRawSync } from "node:zlib"
import { type Content, exchange } from "./contents.ts"

export interface FramesOptions {
  readonly content: Content
  /** Bytes of the payload. */
  readonly size: number
  readonly count: number
  /** Client to server (RFC 6455 §5.3). */
  readonly masked: boolean
  /** As permessage-deflate, each message for itself: a sender need not use the context that it has. */
  readonly deflated: boolean
  /** Bytes of a fragment; default: each message is one frame. */
  readonly fragment?: number | undefined
}

/**
 * Messages, their frames, and what the peer must answer. The frames lie twice in a row: however many are next, they are
 * one piece of `bytes`.
 */
export interface Frames {
  readonly opcode: number
  readonly count: number
  readonly bytes: Buffer
  /** Where each frame begins, and where the last one ends. */
  readonly offsets: ReadonlyArray<number>
  readonly expected: ReadonlyArray<Buffer>
}

/** What ends each flush of a deflater, and is not sent (RFC 7692 §7.2.1). */
export const flushTail = Buffer.from([0, 0, 0xff, 0xff])

export const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 }

export interface FrameOptions {
  readonly masked: boolean
  readonly deflated?: boolean
  /** Whether it ends its message; default true. */
  readonly final?: boolean
}

export const frame = (opcode: number, payload: Uint8Array, { deflated = false, final = true, masked }: FrameOptions): Buffer => {
  const { length } = payload
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const header = Buffer.alloc(2 + lengthBytes)
  header[0] = (final ? 0x80 : 0) | (deflated ? 0x40 : 0) | opcode
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

/** A message in fragments of so many bytes (RFC 6455 §5.4). */
const fragmented = (opcode: number, payload: Buffer, masked: boolean, fragment: number): Buffer => {
  const frames: Array<Buffer> = []
  for (let at = 0; at < payload.length; at += fragment) {
    const final = at + fragment >= payload.length
    frames.push(frame(at === 0 ? opcode : 0, payload.subarray(at, at + fragment), { masked, final }))
  }
  return Buffer.concat(frames)
}

export const makeFrames = ({ content, count, deflated, fragment, masked, size }: FramesOptions): Frames => {
  const opcode = content === "binary" ? opcodes.binary : opcodes.text
  const exchanges = Array.from({ length: count }, (_, index) => exchange(content, index, size))
  const frames = exchanges.map(({ sent }) =>
    fragment === undefined
      ? frame(opcode, deflated ? deflate(sent) : sent, { masked, deflated })
      : fragmented(opcode, sent, masked, fragment)
  )
  const bytes = Buffer.concat([...frames, ...frames])
  const offsets = [0]
  for (let i = 0; i < 2 * count; i++) offsets.push(offsets[i]! + frames[i % count]!.length)
  return { opcode, count, bytes, offsets, expected: exchanges.map(({ expected }) => expected) }
}

/** Of a connection that sends nothing, and does not look at what it receives. */
export const noFrames: Frames = { opcode: opcodes.text, count: 0, bytes: Buffer.alloc(0), offsets: [], expected: [] }
