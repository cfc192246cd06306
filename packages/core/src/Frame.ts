/**
 * Single frames as data (RFC 6455 §5.2), usable without the rest of the library:
 * make one, encode it, decode it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Equivalence from "effect/Equivalence"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { FrameHeader, headerLength, writeHeader } from "./codec/FrameHeader.ts"
import { maskInto, MaskKeys } from "./codec/Mask.ts"
import { isControl, isOpcode, Opcode } from "./Opcode.ts"
import { portable } from "./Primitives.ts"
import { protocolError } from "./protocol/Violation.ts"
import type { ProtocolError, ProtocolRule } from "./WebSocketError.ts"

const encoder = new TextEncoder()

// RFC 6455 §5.5, in the order in which a decoder finds them.
const brokenRule = (opcode: number, fin: boolean, size: number): ProtocolRule | undefined => {
  if (!Number.isInteger(opcode) || opcode < 0 || !isOpcode(opcode)) return "ReservedOpcode"
  if (!isControl(opcode)) return undefined
  if (!fin) return "ControlFragmented"
  return size > 125 ? "ControlTooLong" : undefined
}

/**
 * A frame that RFC 6455 allows on the wire.
 *
 * **Details**
 *
 * - `data` is the payload as the application sees it, never masked.
 * - `masked` says whether the frame is masked on the wire. The key is not part of a frame:
 *   a fresh one is drawn whenever the frame is encoded (RFC 6455 §5.3).
 * - A control frame has `fin` set and at most 125 bytes (RFC 6455 §5.5).
 *
 * **Example** (Legal frames for a property test)
 *
 * ```ts
 * import { Frame } from "@effect-ws/core"
 * import { Arbitrary, Effect } from "effect"
 *
 * const frames = Effect.runSync(Arbitrary.sampleEffect(Arbitrary.schema(Frame.Frame), { count: 10 }))
 *
 * console.log(frames.length) // 10
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const Frame = Schema.Struct({
  fin: Schema.Boolean,
  rsv1: Schema.Boolean,
  rsv2: Schema.Boolean,
  rsv3: Schema.Boolean,
  masked: Schema.Boolean,
  opcode: Opcode,
  data: Schema.Uint8Array
}).check(
  Schema.makeFilter(({ data, fin, opcode }) => {
    const rule = brokenRule(opcode, fin, data.length)
    return rule === undefined ? undefined : protocolError(rule).message
  }, { expected: "a frame that RFC 6455 allows" })
).annotate({ identifier: "Frame" })

/**
 * The type of {@link Frame}.
 *
 * @category models
 * @since 0.1.0
 */
export type Frame = typeof Frame.Type

/**
 * Whether two frames have the same fields and the same payload.
 *
 * @category instances
 * @since 0.1.0
 */
export const equivalence: Equivalence.Equivalence<Frame> = Schema.toEquivalence(Frame)

/**
 * What {@link make} sets besides opcode and data.
 *
 * **Details**
 *
 * `fin` is `true` unless given, everything else `false`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeOptions {
  readonly masked?: boolean | undefined
  readonly fin?: boolean | undefined
  readonly rsv1?: boolean | undefined
  readonly rsv2?: boolean | undefined
  readonly rsv3?: boolean | undefined
}

/**
 * Makes a frame; a string becomes its UTF-8.
 *
 * **Gotchas**
 *
 * Nothing is checked here. {@link encode} refuses a frame that RFC 6455 does not allow.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (opcode: Opcode, data: Uint8Array | string, options?: MakeOptions): Frame => ({
  fin: options?.fin ?? true,
  rsv1: options?.rsv1 ?? false,
  rsv2: options?.rsv2 ?? false,
  rsv3: options?.rsv3 ?? false,
  masked: options?.masked ?? false,
  opcode,
  data: typeof data === "string" ? encoder.encode(data) : data
})

/**
 * Options of {@link encode}.
 *
 * **Details**
 *
 * `maskKey` is the four bytes to mask with, in the order of the wire. It is used only for
 * a masked frame.
 *
 * **Gotchas**
 *
 * Set it to reproduce known bytes only. On a connection every frame needs a fresh,
 * unpredictable key (RFC 6455 §10.3), which is the default.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncodeOptions {
  readonly maskKey?: Uint8Array | undefined
}

const keys = new MaskKeys(portable.randomFill)

const refuse = (rule: ProtocolRule, detail?: string) => Result.fail(protocolError(rule, detail))

/**
 * Encodes a frame: the length in its shortest form and, where `masked` is set, masked with
 * a fresh key from a cryptographically secure source.
 *
 * **Details**
 *
 * Refuses a reserved opcode, a fragmented control frame, a control frame over 125
 * bytes and a mask key that has not four bytes. The frame's data is not changed.
 *
 * **Example** (Encoding a ping)
 *
 * ```ts
 * import { Frame, Opcode } from "@effect-ws/core"
 * import { Result } from "effect"
 *
 * const bytes = Frame.encode(Frame.make(Opcode.Ping, "Hello"))
 *
 * console.log(Result.getOrThrow(bytes)) // 89 05 48 65 6c 6c 6f
 * ```
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (frame: Frame, options?: EncodeOptions): Result.Result<Uint8Array, ProtocolError> => {
  const { data, fin, masked, opcode } = frame
  // Checked at run time: a caller without types must not decide how much memory is sent.
  if (!(data instanceof Uint8Array)) return refuse("PayloadType")
  const rule = brokenRule(opcode, fin, data.length)
  if (rule !== undefined) return Result.fail(protocolError(rule))
  let key = 0
  if (masked) {
    const given = options?.maskKey
    if (given === undefined) {
      key = keys.next()
    } else {
      if (given.length !== 4) return refuse("MaskKeySize")
      key = given[0]! | (given[1]! << 8) | (given[2]! << 16) | (given[3]! << 24)
    }
  }
  const size = data.length
  const firstByte = (fin ? 0x80 : 0) | (frame.rsv1 ? 0x40 : 0) | (frame.rsv2 ? 0x20 : 0) | (frame.rsv3 ? 0x10 : 0) |
    opcode
  const bytes = new Uint8Array(headerLength(size, masked) + size)
  const at = writeHeader(bytes, 0, firstByte, size, masked, key)
  if (masked) maskInto(data, 0, size, bytes, at, key, 0)
  else bytes.set(data, at)
  return Result.succeed(bytes)
}

/**
 * Makes and encodes a frame in one step, from a {@link Frame} or from its parts.
 *
 * **Example** (A masked ping)
 *
 * ```ts
 * import { Frame, Opcode } from "@effect-ws/core"
 * import { Result } from "effect"
 *
 * const bytes = Frame.makeFrame(Opcode.Ping, "token", { masked: true })
 *
 * console.log(Result.getOrThrow(bytes).length) // 11
 * ```
 *
 * @category encoding
 * @since 0.1.0
 */
export const makeFrame: {
  (frame: Frame): Result.Result<Uint8Array, ProtocolError>
  (opcode: Opcode, data: Uint8Array | string, options?: MakeOptions): Result.Result<Uint8Array, ProtocolError>
} = (
  first: Frame | Opcode,
  data: Uint8Array | string = "",
  options?: MakeOptions
): Result.Result<Uint8Array, ProtocolError> => encode(typeof first === "object" ? first : make(first, data, options))

/**
 * Decodes the bytes of exactly one frame; missing and extra bytes are refused.
 *
 * **When to use**
 *
 * For bytes that are known to be one frame. Use `FrameDecoder` for bytes that
 * arrive in pieces.
 *
 * **Details**
 *
 * Reserved bits are let through, since which of them an extension claimed is not
 * known here. The payload is a copy, unmasked.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array): Result.Result<Frame, ProtocolError> => {
  const header = new FrameHeader("any")
  header.allowedRsv = 7
  const start = header.parse(bytes, 0, bytes.length)
  if (header.violation !== undefined) return Result.fail(protocolError(header.violation))
  if (!header.complete) return refuse("FrameIncomplete", "the bytes end inside the header of a frame")
  const missing = header.length - (bytes.length - start)
  if (missing > 0) return refuse("FrameIncomplete", `${missing} bytes of the frame are missing`)
  if (missing < 0) return refuse("FrameTrailing", `${-missing} bytes follow the frame`)
  const data = new Uint8Array(header.length)
  if (header.masked) maskInto(bytes, start, bytes.length, data, 0, header.maskKey, 0)
  else data.set(bytes.subarray(start))
  return Result.succeed(frameOf(header, data))
}

/**
 * The bytes of exactly one frame, as a Schema of both directions.
 *
 * **Details**
 *
 * Decoding fails with an issue that names the broken rule; missing and extra bytes
 * are issues as well. Encoding draws a fresh mask key where the frame is masked.
 *
 * **Example** (Both directions)
 *
 * ```ts
 * import { Frame } from "@effect-ws/core"
 * import { Schema } from "effect"
 *
 * const frame = Schema.decodeUnknownSync(Frame.FrameFromBytes)(Uint8Array.of(0x81, 0x02, 0x68, 0x69))
 *
 * console.log(new TextDecoder().decode(frame.data)) // hi
 * console.log(Schema.encodeSync(Frame.FrameFromBytes)(frame)) // 81 02 68 69
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const FrameFromBytes = Schema.Uint8Array.pipe(
  Schema.decodeTo(
    Schema.toType(Frame),
    SchemaTransformation.transformEffect({
      decode: (bytes, options) =>
        Effect.mapError(
          Effect.fromResult(decode(bytes)),
          (error) => new SchemaIssue.InvalidValue({ message: error.message }, bytes, options)
        ),
      encode: (frame, options) =>
        Effect.mapError(
          Effect.fromResult(encode(frame)),
          (error) => new SchemaIssue.InvalidValue({ message: error.message }, frame, options)
        )
    })
  )
).annotate({ identifier: "FrameFromBytes" })

/**
 * The frame of a complete header and its unmasked payload.
 *
 * @internal
 */
export const frameOf = (header: FrameHeader, data: Uint8Array): Frame => ({
  fin: header.fin,
  rsv1: (header.rsv & 4) !== 0,
  rsv2: (header.rsv & 2) !== 0,
  rsv3: (header.rsv & 1) !== 0,
  masked: header.masked,
  // Parsing refused every other opcode.
  opcode: header.opcode as Opcode,
  data
})
