/**
 * An extension for tests: run lengths, so that five bytes can become four gigabytes. It
 * claims RSV2, puts out bounded steps, and remembers what it was asked to do.
 *
 * A message travels as records of a length, four bytes, and the byte that is repeated so
 * often; a length of 0 is what no encoder sends.
 */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import { make as makeDecoder } from "../../src/FrameDecoder.ts"
import * as Frame from "../../src/Frame.ts"
import type { Message } from "../../src/Message.ts"
import type { MessageExtension, Transform } from "../../src/MessageExtension.ts"
import type * as Opcode from "../../src/Opcode.ts"
import { concat } from "./FakeTransport.ts"

const rsv2 = 2
const recordSize = 5

/** One record. */
export const run = (length: number, byte: number): Uint8Array => {
  const record = new Uint8Array(recordSize)
  new DataView(record.buffer).setUint32(0, length)
  record[4] = byte
  return record
}

const encode = (bytes: Uint8Array): Uint8Array => {
  const records: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    let end = at + 1
    while (end < bytes.length && bytes[end] === bytes[at]) end++
    records.push(run(end - at, bytes[at]))
    at = end
  }
  return concat(records)
}

export interface Options {
  /** What the decoder puts out at once. Default 64 KiB. */
  readonly stepSize?: number
  /** Default 64 KiB. */
  readonly sliceSize?: number
  readonly compress?: (message: Message | undefined) => boolean
  /** The encoder keeps what it has until there are so many bytes. */
  readonly keepBack?: number
  readonly onStep?: () => void
}

export interface RunLength extends Transform {
  /** Steps that put something out. */
  steps: number
  decoded: number
  begun: Array<number>
  closed: number
  /** The sizes that were pushed into the encoder. */
  readonly pushed: Array<number>
  readonly asked: Array<Message | undefined>
}

export const open = (options: Options = {}): RunLength => {
  const { compress = () => true, keepBack = 0, onStep, sliceSize = 65536, stepSize = 65536 } = options
  let input = new Uint8Array(0)
  let at = 0
  let carry = new Uint8Array(0)
  let rest = 0
  let value = 0
  let ends = false
  let kept: Array<Uint8Array> = []
  let failed = false
  const isOpen = () => assert.strictEqual(transform.closed, 0, "used after it was closed")
  const transform: RunLength = {
    name: "x-run-length",
    rsv: rsv2,
    steps: 0,
    decoded: 0,
    begun: [],
    closed: 0,
    pushed: [],
    asked: [],
    encoder: {
      sliceSize,
      begin: (message) => {
        isOpen()
        transform.asked.push(message)
        return compress(message) ? rsv2 : 0
      },
      push: (bytes, last) => {
        isOpen()
        transform.pushed.push(bytes.length)
        kept.push(encode(bytes))
        const out = concat(kept)
        if (!last && out.length < keepBack) return new Uint8Array(0)
        kept = []
        return out
      }
    },
    decoder: {
      begin: (rsv) => {
        isOpen()
        transform.begun.push(rsv)
      },
      push: (bytes, last) => {
        isOpen()
        assert.isFalse(failed, "goes on behind a failure")
        assert.isTrue(rest === 0 && at + recordSize > input.length, "pushed before all was worked off")
        // Not copied: it must stay as it is.
        input = bytes as Uint8Array<ArrayBuffer>
        at = 0
        ends = last
      },
      next: () => {
        isOpen()
        while (rest === 0) {
          const wanted = recordSize - carry.length
          if (input.length - at < wanted) {
            carry = concat([carry, input.subarray(at)])
            at = input.length
            failed = ends && carry.length > 0
            if (ends) carry = new Uint8Array(0)
            return failed ? { detail: "half a record" } : undefined
          }
          const record = concat([carry, input.subarray(at, at + wanted)])
          at += wanted
          carry = new Uint8Array(0)
          rest = new DataView(record.buffer).getUint32(0)
          value = record[4]
          if (rest === 0) {
            failed = true
            return { detail: "an empty run" }
          }
        }
        const size = Math.min(rest, stepSize)
        rest -= size
        transform.steps++
        transform.decoded += size
        onStep?.()
        return new Uint8Array(size).fill(value)
      }
    },
    close: () => {
      transform.closed++
    }
  }
  return transform
}

/** The extension; `made` collects what it opened. */
export const extension = (options: Options & { readonly made?: Array<RunLength> } = {}): MessageExtension => {
  const opened = () => {
    const transform = open(options)
    options.made?.push(transform)
    return transform
  }
  return {
    name: "x-run-length",
    offers: [[{ name: "v", value: "2" }], [{ name: "v", value: "1" }]],
    agree: ({ params }) =>
      params.length === 1 && params[0]?.name === "v" ? Result.succeed({ open: opened }) : Result.fail("v is missing"),
    answer: ({ params }) => params[0]?.value === "1" ? { params: [{ name: "v", value: "1" }], open: opened } : undefined
  }
}

export interface FrameOptions {
  readonly fin?: boolean
  readonly rsv1?: boolean
  readonly rsv2?: boolean
  readonly rsv3?: boolean
  readonly masked?: boolean
}

/** The bytes of a frame, with reserved bits. */
export const frame = (
  opcode: Opcode.Opcode,
  data: Uint8Array | string,
  { fin = true, masked = true, ...rsv }: FrameOptions = {}
): Uint8Array => Result.getOrThrow(Frame.encode({ ...Frame.make(opcode, data, { masked }), fin, ...rsv }))

/** A message as frames, encoded and cut into pieces of the given sizes; `between` stands behind each but the last. */
export const message = (
  opcode: Opcode.Opcode,
  data: Uint8Array | string,
  cuts: ReadonlyArray<number> = [],
  options: { readonly masked?: boolean; readonly between?: (index: number) => Uint8Array } = {}
): Uint8Array => {
  const { between = () => new Uint8Array(0), masked = true } = options
  const payload = encode(typeof data === "string" ? new TextEncoder().encode(data) : data)
  const frames: Array<Uint8Array> = []
  let at = 0
  cuts.forEach((cut, i) => {
    const end = Math.min(payload.length, at + cut)
    frames.push(frame(i === 0 ? opcode : 0, payload.subarray(at, end), { fin: false, rsv2: i === 0, masked }), between(i))
    at = end
  })
  const first = cuts.length === 0
  frames.push(frame(first ? opcode : 0, payload.subarray(at), { rsv2: first, masked }))
  return concat(frames)
}

/** The frames in bytes that this library wrote, reserved bits and all. */
export const framesOf = (bytes: Uint8Array, mask: "required" | "forbidden"): ReadonlyArray<Frame.Frame> => {
  const { error, frames } = makeDecoder({ mask, allowedRsv: 7, maxPayloadLength: 2 ** 30 }).push(bytes)
  assert.isUndefined(error)
  return frames
}

/** What run-length encoded payload means. */
export const decode = (payload: Uint8Array): Uint8Array => {
  const { decoder } = open()
  decoder.begin(rsv2)
  decoder.push(payload, true)
  const parts: Array<Uint8Array> = []
  for (;;) {
    const next = decoder.next()
    if (next === undefined) return concat(parts)
    assert.instanceOf(next, Uint8Array)
    parts.push(next as Uint8Array)
  }
}
