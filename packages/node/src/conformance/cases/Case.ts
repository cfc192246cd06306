/**
 * What a case is: what the suite sends, and what may come back. Everything is
 * data; the runner plays it. `script` is a function only because some payloads
 * are 16 MiB and should not all be in memory at once.
 */
import type { Parameters } from "../wire/Parameters.ts"
import { Binary, Close, closePayload, Continuation, type FrameSpec, Ping, Pong, Text } from "../wire/Frames.ts"

/** How the octets of a step are cut into TCP writes: together, one frame a write, or so many octets a write. */
export type Chop = "together" | "frames" | number

export type Step =
  | { readonly _tag: "Frames"; readonly frames: ReadonlyArray<FrameSpec>; readonly chop: Chop }
  /** A part of one frame whose header declared `length`; the part at 0 brings the header. */
  | {
    readonly _tag: "Part"
    readonly opcode: number
    readonly length: number
    readonly from: number
    readonly data: Uint8Array
  }
  /** A compressed message, in frames of at most `fragment` octets, 0 for one frame. */
  | { readonly _tag: "Deflated"; readonly opcode: number; readonly payload: Uint8Array; readonly fragment: number }
  /**
   * Compressed messages, each after the last one's echo, which is compared at once and not kept: with a thousand
   * large messages a case, memory has no room for all of them.
   */
  | {
    readonly _tag: "Echoes"
    readonly opcode: number
    readonly count: number
    /** How many of them a run sends that does not play the cases in full. */
    readonly sample: number
    readonly fragment: number
    readonly message: (index: number) => Uint8Array
  }
  /** Let time pass; a connection that is still open afterwards is noted as `Timeout`. */
  | { readonly _tag: "Wait"; readonly name: string; readonly ms: number }
  /** Go on once so many events came in all; if they do not come, that is noted as `Timeout`. */
  | { readonly _tag: "Await"; readonly name: string; readonly events: number }

export type Expected =
  | { readonly _tag: "Message"; readonly binary: boolean; readonly payload: Uint8Array }
  | { readonly _tag: "Pong"; readonly payload: Uint8Array }
  | { readonly _tag: "Timeout"; readonly name: string }

export interface Script {
  readonly steps: ReadonlyArray<Step>
  /** Exactly these events, in this order: OK. */
  readonly ok: ReadonlyArray<Expected>
  /** Allowed by the published suite, but less than full marks. */
  readonly nonStrict?: ReadonlyArray<Expected>
  readonly close: {
    /** Who sends the first Close. `suite`: after the events of `ok`, unless the steps hold a Close already. */
    readonly by: "suite" | "subject"
    /** The codes that the subject's Close may carry; `undefined` is a Close without a body. */
    readonly codes: ReadonlyArray<number | undefined>
    /** Codes the published suite allows and a strict reading does not. */
    readonly nonStrictCodes?: ReadonlyArray<number>
  }
  /** Who agreed on compression and then compresses nothing, although it would help, has less than full marks. */
  readonly deflates?: true
}

/** What a case asks of permessage-deflate (RFC 7692 §5.1, §7.1). */
export interface Negotiation {
  /** What the suite offers when it plays the client. */
  readonly offers: ReadonlyArray<Parameters>
  /** What it answers when it plays the server: the first of these that the subject's offers allow. */
  readonly answers: ReadonlyArray<Parameters>
  /** Declining is as good as accepting; otherwise a subject that declines is `UNIMPLEMENTED`. */
  readonly mayDecline?: true
}

export interface Case {
  readonly id: string
  readonly description: string
  /** The published suite judges nothing here; this one still holds the subject to `script`. */
  readonly informational?: true
  /** Megabytes or thousands of messages: run by itself, with a longer deadline. */
  readonly heavy?: true
  /** Without it no extension may be in use. */
  readonly negotiation?: Negotiation
  readonly script: () => Script
}

export const utf8 = (text: string): Uint8Array => Buffer.from(text, "utf8")
export const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)
export const hex = (digits: string): Uint8Array => Buffer.from(digits, "hex")
/** `length` octets of a repeated pattern. */
export const fill = (pattern: string | Uint8Array, length: number): Uint8Array =>
  length === 0 ? new Uint8Array(0) : Buffer.alloc(length, pattern)
export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => Buffer.concat(parts)

const toBytes = (payload: string | Uint8Array): Uint8Array => (typeof payload === "string" ? utf8(payload) : payload)

type Bits = Pick<FrameSpec, "fin" | "rsv">
export const frame = (opcode: number, payload: string | Uint8Array = "", bits: Bits = {}): FrameSpec => ({
  opcode,
  payload: toBytes(payload),
  ...bits
})
export const text = (payload: string | Uint8Array, bits?: Bits) => frame(Text, payload, bits)
export const binary = (payload: string | Uint8Array, bits?: Bits) => frame(Binary, payload, bits)
export const continuation = (payload: string | Uint8Array, bits?: Bits) => frame(Continuation, payload, bits)
export const ping = (payload: string | Uint8Array = "", bits?: Bits) => frame(Ping, payload, bits)
export const pong = (payload: string | Uint8Array = "", bits?: Bits) => frame(Pong, payload, bits)
export const close = (code?: number, reason?: string | Uint8Array) => frame(Close, closePayload(code, reason))

/** One message cut into frames of at most `size` octets of payload. */
export const fragments = (opcode: number, payload: Uint8Array, size: number): ReadonlyArray<FrameSpec> => {
  const frames: Array<FrameSpec> = []
  for (let from = 0; from < payload.length; from += size) {
    frames.push({
      opcode: from === 0 ? opcode : Continuation,
      payload: payload.subarray(from, from + size),
      fin: from + size >= payload.length
    })
  }
  return frames
}

export const send = (frames: ReadonlyArray<FrameSpec>, chop: Chop = "together"): Step => ({
  _tag: "Frames",
  frames,
  chop
})
export const wait = (name: string, ms: number): Step => ({ _tag: "Wait", name, ms })
export const awaitEvents = (name: string, events: number): Step => ({ _tag: "Await", name, events })

export const deflated = (opcode: number, payload: string | Uint8Array, fragment = 0): Step => ({
  _tag: "Deflated",
  opcode,
  payload: toBytes(payload),
  fragment
})

export const echoText = (payload: string | Uint8Array): Expected => ({
  _tag: "Message",
  binary: false,
  payload: toBytes(payload)
})
export const echoBinary = (payload: Uint8Array): Expected => ({ _tag: "Message", binary: true, payload })
export const answer = (payload: string | Uint8Array): Expected => ({ _tag: "Pong", payload: toBytes(payload) })
export const timeout = (name: string): Expected => ({ _tag: "Timeout", name })

/** Everything is legal: these events, then a clean close with 1000. */
export const clean = (steps: ReadonlyArray<Step>, ok: ReadonlyArray<Expected>): Script => ({
  steps,
  ok,
  close: { by: "suite", codes: [1000] }
})

/** Something is illegal: the subject fails the connection with this code (RFC 6455 §7.1.7). */
export const fails = (
  code: number,
  steps: ReadonlyArray<Step>,
  ok: ReadonlyArray<Expected> = [],
  nonStrict?: ReadonlyArray<Expected>
): Script => ({
  steps,
  ok,
  ...(nonStrict === undefined ? {} : { nonStrict }),
  close: { by: "subject", codes: [code] }
})

export const makeCase = (
  id: string,
  description: string,
  script: () => Script,
  flags: Pick<Case, "informational" | "heavy" | "negotiation"> = {}
): Case => ({ id, description, script, ...flags })
