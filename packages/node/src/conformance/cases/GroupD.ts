/** Beyond the published cases: the streams that RFC 7692 shows, what a receiver must refuse, and rarer parameters. */
import { constants, deflateRawSync } from "node:zlib"
import { Binary, Close, closePayload, type FrameSpec, Text } from "../wire/Frames.ts"
import { jsonCorpus } from "./Corpora.ts"
import {
  answer,
  binary,
  bytes,
  type Case,
  clean,
  concat,
  continuation,
  deflated,
  echoBinary,
  echoText,
  fails,
  fill,
  fragments,
  frame,
  hex,
  makeCase,
  type Negotiation,
  ping,
  type Script,
  send,
  text,
  utf8
} from "./Case.ts"

const rsv1 = { rsv: 4 } as const
const start = { rsv: 4, fin: false } as const
const open = { fin: false } as const

/** As browsers offer it. */
const plain: Negotiation = { offers: [{ clientMaxWindowBits: true }], answers: [{}] }

/** "Hello", as RFC 7692 §7.2.3 compresses it; `again` refers to one before. */
const hello = hex("f248cdc9c90700")
const again = hex("f200110000")
const kosme = "κόσμε, compressed: κόσμε"
const MiB = 1024 * 1024

/** A compressed text message as it stands on the wire. */
const packed = (octets: Uint8Array) => text(octets, rsv1)
const stored = (octets: Uint8Array, declared = octets.length): Uint8Array => {
  const header = Buffer.alloc(5)
  header.writeUInt16LE(declared, 1)
  header.writeUInt16LE(0xffff ^ declared, 3)
  return concat(header, octets)
}

/** So many MiB of zeros. Every piece but the first is the same, so this takes no memory to make. */
const zeros = (count: number): Uint8Array => {
  const piece = fill(bytes(0), MiB)
  const options = { finishFlush: constants.Z_SYNC_FLUSH }
  const first = deflateRawSync(piece, options)
  const next = deflateRawSync(piece, { ...options, dictionary: fill(bytes(0), 32 * 1024) })
  return concat(first, ...Array.from({ length: count - 1 }, () => next)).subarray(0, -4)
}

const streams: ReadonlyArray<readonly [description: string, script: () => Script, heavy?: true]> = [
  ["One block", () => clean([send([packed(hello)])], [echoText("Hello")])],
  ["A message that refers to the one before", () =>
    clean([deflated(Text, kosme), deflated(Text, kosme)], [echoText(kosme), echoText(kosme)])],
  ["A stored block", () =>
    clean([send([packed(concat(stored(utf8("Hello")), bytes(0)))])], [echoText("Hello")])],
  ["A block that calls itself the last", () =>
    clean([send([packed(hex("f348cdc9c9070000"))])], [echoText("Hello")])],
  ["Two blocks", () => clean([send([packed(hex("f24805000000ffffcac9c90700"))])], [echoText("Hello")])],
  ["Empty text", () => clean([send([packed(bytes(0))])], [echoText("")])],
  ["In frames of one octet, a ping between", () =>
    clean(
      [send([
        text(hello.subarray(0, 1), start),
        ...Array.from(hello.subarray(1, 6), (octet) => continuation(bytes(octet), open)),
        ping("between"),
        continuation(hello.subarray(6))
      ])],
      [answer("between"), echoText("Hello")]
    )],
  ["Empty frames around and inside", () =>
    clean(
      [send([
        text("", start),
        continuation(hello.subarray(0, 3), open),
        continuation("", open),
        continuation(hello.subarray(3), open),
        continuation("")
      ])],
      [echoText("Hello")]
    )],
  ["Uncompressed messages between leave the window alone", () =>
    clean(
      [deflated(Text, kosme), send([text("Hello"), binary(bytes(1))]), deflated(Text, kosme)],
      [echoText(kosme), echoText("Hello"), echoBinary(bytes(1)), echoText(kosme)]
    )],
  ["UTF-8 over two octets a frame", () => clean([deflated(Text, kosme, 2)], [echoText(kosme)])],
  ["16 MiB, the limit", () => {
    const payload = fill(bytes(0), 16 * MiB)
    return clean([send([binary(zeros(16), rsv1)])], [echoBinary(payload)])
  }, true]
]

/** RFC 7692 names no code for octets that are no DEFLATE: 1007 says best what is wrong, 1002 is said too. */
const unreadable = [1007, 1002] as const

const violations: ReadonlyArray<
  readonly [
    description: string,
    code: number | typeof unreadable,
    frames: () => ReadonlyArray<FrameSpec>,
    heavy?: true
  ]
> = [
  ["RSV1 on a continuation frame", 1002, () => [
    text(hello.subarray(0, 3), start),
    continuation(hello.subarray(3), rsv1)
  ]],
  ["RSV1 on the continuation of an uncompressed message", 1002, () => [text("Hel", open), continuation(hello, rsv1)]],
  ["RSV1 on a ping", 1002, () => [ping("", rsv1)]],
  ["RSV1 on Close", 1002, () => [frame(Close, closePayload(1000), rsv1)]],
  ["RSV2 on a compressed message", 1002, () => [text(hello, { rsv: 6 })]],
  ["RSV3 on a compressed message", 1002, () => [text(hello, { rsv: 5 })]],
  ["A block of the reserved type", unreadable, () => [packed(bytes(0x06, 0x00))]],
  ["A stored block with a wrong length", unreadable, () => [packed(hex("000500000048656c6c6f00"))]],
  ["A reference to what was never sent", unreadable, () => [packed(again)]],
  ["More codes than fit", unreadable, () => [packed(concat(bytes(0x04), fill(hex("499224"), 30)))]],
  ["Text that is not UTF-8", 1007, () => [packed(concat(stored(hex("48ff")), bytes(0)))]],
  ["Text that ends inside a character", 1007, () => [packed(concat(stored(hex("48ceba").subarray(0, 2)), bytes(0)))]],
  ["Text that ends inside a block", 1007, () => [packed(stored(utf8("Hel"), 10))]],
  ["1 GiB of zeros in 1 MiB", 1009, () => [binary(zeros(1024), rsv1)], true],
  ["1 GiB of zeros in fragments of 1 KiB", 1009, () => {
    const [first, ...rest] = fragments(Binary, zeros(1024), 1024)
    return [{ ...first!, ...rsv1 }, ...rest]
  }, true]
]

const flags = (heavy: true | undefined) => ({ negotiation: plain, ...(heavy === undefined ? {} : { heavy }) })

const exchange = (): Script =>
  clean([{
    _tag: "Echoes",
    opcode: Text,
    count: 8,
    sample: 8,
    fragment: 0,
    message: (index) => jsonCorpus.message(index, 5000)
  }], [])

const negotiations: ReadonlyArray<readonly [description: string, negotiation: Negotiation]> = [
  ["Window 8, which zlib does not have", {
    offers: [{ serverMaxWindowBits: 8 }],
    answers: [{ clientMaxWindowBits: 8 }],
    mayDecline: true
  }],
  ["Window 8, or else 10", {
    offers: [{ serverMaxWindowBits: 8 }, { serverMaxWindowBits: 10 }],
    answers: [{ clientMaxWindowBits: 10 }]
  }],
  ["Everything at once", {
    offers: [{
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 11,
      clientMaxWindowBits: 10
    }],
    answers: [{
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 11,
      clientMaxWindowBits: 10
    }]
  }],
  ["Nothing said that could be left out", {
    offers: [{}],
    answers: [{ serverNoContextTakeover: true, serverMaxWindowBits: 9 }]
  }]
]

export const groupD: ReadonlyArray<Case> = [
  ...streams.map(([description, script, heavy], index) =>
    makeCase(`D.1.${index + 1}`, description, script, flags(heavy))
  ),
  makeCase("D.2.1", "RSV1 without an agreement (1002)", () => fails(1002, [send([packed(hello)])])),
  ...violations.map(([description, codes, frames, heavy], index) => {
    const [code, ...others] = typeof codes === "number" ? [codes] : codes
    return makeCase(
      `D.2.${index + 2}`,
      `${description} (${code})`,
      () => {
        const script = fails(code, [send(frames())])
        return others.length === 0 ? script : { ...script, close: { ...script.close, nonStrictCodes: others } }
      },
      flags(heavy)
    )
  }),
  ...negotiations.map(([description, negotiation], index) =>
    makeCase(`D.3.${index + 1}`, description, exchange, { negotiation })
  )
]
