/**
 * The header of a frame (RFC 6455 §5.2): parsed as its bytes arrive, and written with its length in the shortest form.
 *
 * ```text
 *   0 1 2 3 4 5 6 7  8 9 ...
 *  +-+-+-+-+-------+-+-------------+-------------------------------+---------
 *  |F|R|R|R| opcode|M| length (7)  | length (16 or 64 bits)        | mask key
 *  |I|S|S|S|  (4)  |A|             | if the 7 bits are 126 or 127  | (32), if
 *  |N|V|V|V|       |S|             |                               | MASK
 *  | |1|2|3|       |K|             |                               |
 *  +-+-+-+-+-------+-+-------------+-------------------------------+---------
 * ```
 *
 * One mutable object serves a whole connection: nothing is allocated for a frame. A broken
 * rule is reported at the first byte that proves it.
 *
 * @internal
 */
import type { ProtocolRule } from "../WebSocketError.ts"

/**
 * @internal
 */
export class FrameHeader {
  fin = false
  /** The reserved bits as a number: RSV1 is 4, RSV2 is 2, RSV3 is 1. */
  rsv = 0
  opcode = 0
  masked = false
  /** In the form of `Mask.ts`. */
  maskKey = 0
  /** `Infinity` above 2^53-1, so that every limit refuses it. */
  length = 0
  /** Whether the header is complete. */
  complete = false
  violation: ProtocolRule | undefined = undefined
  /** The reserved bits that an extension claimed for the next frame. */
  allowedRsv = 0

  private readonly mask: "required" | "forbidden" | "any"
  // Header bytes seen so far, and how many of them carry a longer length.
  private seen = 0
  private lengthSize = 0
  // The upper and lower 32 bits of a longer length.
  private high = 0
  private low = 0

  constructor(mask: "required" | "forbidden" | "any") {
    this.mask = mask
  }

  /**
   * Consumes header bytes of `bytes[offset, end)` and returns the offset after them. Nothing
   * is consumed once the header is complete or has broken a rule.
   */
  parse(bytes: Uint8Array, offset: number, end: number): number {
    if (this.seen === 0 && end - offset >= 2) {
      if (!this.first(bytes[offset]!) || !this.second(bytes[offset + 1]!)) return offset + this.seen
      const keyAt = offset + 2 + this.lengthSize
      const behind = this.masked ? keyAt + 4 : keyAt
      if (behind <= end && this.lengthSize < 8) {
        if (this.lengthSize === 2) {
          this.length = (bytes[offset + 2]! << 8) | bytes[offset + 3]!
          if (this.length < 126) {
            this.violation = "LengthNotMinimal"
            return keyAt
          }
        }
        if (this.masked) {
          this.maskKey = bytes[keyAt]! | (bytes[keyAt + 1]! << 8) | (bytes[keyAt + 2]! << 16) |
            (bytes[keyAt + 3]! << 24)
        }
        this.complete = true
        return behind
      }
      offset += 2
      this.finish()
    }
    while (offset < end && !this.complete && this.violation === undefined) this.step(bytes[offset++]!)
    return offset
  }

  /** Prepares for the next frame. `allowedRsv` stays. */
  reset(): void {
    this.complete = false
    this.violation = undefined
    this.maskKey = 0
    this.length = 0
    this.seen = 0
    this.lengthSize = 0
    this.high = 0
    this.low = 0
  }

  /** Whether no byte of a header was consumed. */
  isBlank(): boolean {
    return this.seen === 0
  }

  /** Whether some, but not all, bytes of a header were consumed. */
  isPartial(): boolean {
    return this.seen > 0 && !this.complete
  }

  private step(byte: number): void {
    const at = this.seen
    if (at === 0) {
      this.first(byte)
    } else if (at === 1) {
      if (this.second(byte)) this.finish()
    } else if (at < 2 + this.lengthSize) {
      this.seen = at + 1
      this.lengthByte(byte, at - 2)
      if (this.violation === undefined) this.finish()
    } else {
      this.seen = at + 1
      this.maskKey |= byte << ((at - 2 - this.lengthSize) << 3)
      this.finish()
    }
  }

  private first(byte: number): boolean {
    this.seen = 1
    this.fin = (byte & 0x80) !== 0
    this.rsv = (byte >> 4) & 0x7
    this.opcode = byte & 0xf
    // §5.2: reserved bits MUST be 0 unless an extension defines them.
    if ((this.rsv & ~this.allowedRsv) !== 0) return this.refuse("ReservedBit")
    // §5.2: 3-7 and 11-15 are reserved.
    if ((this.opcode & 0x7) > 2) return this.refuse("ReservedOpcode")
    // §5.5: control frames MUST NOT be fragmented.
    if (this.opcode >= 0x8 && !this.fin) return this.refuse("ControlFragmented")
    return true
  }

  private second(byte: number): boolean {
    this.seen = 2
    this.masked = (byte & 0x80) !== 0
    const short = byte & 0x7f
    // §5.5: control frames carry at most 125 bytes, so never a longer length form.
    if (this.opcode >= 0x8 && short > 125) return this.refuse("ControlTooLong")
    // §5.1: a client masks every frame, a server none.
    if (this.masked) {
      if (this.mask === "forbidden") return this.refuse("MaskUnexpected")
    } else if (this.mask === "required") {
      return this.refuse("MaskMissing")
    }
    this.length = short
    this.lengthSize = short < 126 ? 0 : short === 126 ? 2 : 8
    return true
  }

  // `at` counts the bytes of the longer length.
  private lengthByte(byte: number, at: number): void {
    if (this.lengthSize === 2) {
      this.low = (this.low << 8) | byte
      if (at === 1) {
        this.length = this.low
        // §5.2: the minimal number of bytes MUST be used.
        if (this.low < 126) this.refuse("LengthNotMinimal")
      }
      return
    }
    // §5.2: the most significant bit MUST be 0.
    if (at === 0 && byte > 0x7f) {
      this.refuse("LengthHighBit")
      return
    }
    if (at < 4) this.high = (this.high << 8) | byte
    else this.low = ((this.low << 8) | byte) >>> 0
    // Six bytes of zero leave at most 65535, which has a shorter form.
    if (at === 5 && this.high === 0 && this.low === 0) {
      this.refuse("LengthNotMinimal")
    } else if (at === 7) {
      this.length = this.high > 0x1fffff ? Infinity : this.high * 0x100000000 + this.low
    }
  }

  private finish(): void {
    this.complete = this.seen === 2 + this.lengthSize + (this.masked ? 4 : 0)
  }

  private refuse(rule: ProtocolRule): false {
    this.violation = rule
    return false
  }
}

/**
 * The size of the header of a frame.
 *
 * @internal
 */
export const headerLength = (payloadLength: number, masked: boolean): number =>
  (payloadLength < 126 ? 2 : payloadLength < 0x10000 ? 4 : 10) + (masked ? 4 : 0)

/**
 * Writes a header at `offset` and returns the offset after it. `firstByte` is
 * `fin << 7 | rsv << 4 | opcode`; `maskKey` has the form of `Mask.ts`.
 *
 * @internal
 */
export const writeHeader = (
  target: Uint8Array,
  offset: number,
  firstByte: number,
  payloadLength: number,
  masked: boolean,
  maskKey: number
): number => {
  const maskBit = masked ? 0x80 : 0
  target[offset] = firstByte
  let at: number
  if (payloadLength < 126) {
    target[offset + 1] = maskBit | payloadLength
    at = offset + 2
  } else if (payloadLength < 0x10000) {
    target[offset + 1] = maskBit | 126
    target[offset + 2] = payloadLength >>> 8
    target[offset + 3] = payloadLength
    at = offset + 4
  } else {
    const high = Math.floor(payloadLength / 0x100000000)
    target[offset + 1] = maskBit | 127
    target[offset + 2] = high >>> 24
    target[offset + 3] = high >>> 16
    target[offset + 4] = high >>> 8
    target[offset + 5] = high
    target[offset + 6] = payloadLength >>> 24
    target[offset + 7] = payloadLength >>> 16
    target[offset + 8] = payloadLength >>> 8
    target[offset + 9] = payloadLength
    at = offset + 10
  }
  if (masked) {
    target[at] = maskKey
    target[at + 1] = maskKey >>> 8
    target[at + 2] = maskKey >>> 16
    target[at + 3] = maskKey >>> 24
    at += 4
  }
  return at
}
