/**
 * What the suite compresses with: zlib, synchronously. Between messages only the last octets sent are kept, as the
 * dictionary of the next message; on the wire that is what one long stream would be.
 */
import { constants, deflateRawSync } from "node:zlib"
import { Continuation, type FrameSpec } from "./Frames.ts"
import type { Half } from "./Inflater.ts"

const tailLength = 4
const rsv1 = 4

export class Deflater {
  private readonly half: Half
  private history: Buffer = Buffer.alloc(0)

  constructor(half: Half) {
    this.half = half
  }

  /** The payload of one message (RFC 7692 §7.2.1). */
  message(payload: Uint8Array): Buffer {
    const octets = deflateRawSync(payload, {
      // The suite judges the subject, so it does not spend its own time on a better ratio.
      level: 1,
      windowBits: this.half.windowBits,
      finishFlush: constants.Z_SYNC_FLUSH,
      ...(this.history.length === 0 ? {} : { dictionary: this.history })
    })
    if (!this.half.noContextTakeover) {
      const window = 1 << this.half.windowBits
      this.history = payload.length >= window
        ? Buffer.from(payload.subarray(payload.length - window))
        : Buffer.concat([this.history, payload]).subarray(-window)
    }
    return octets.subarray(0, octets.length - tailLength)
  }

  /** The same in frames of at most `size` octets, 0 for one frame; RSV1 on the first only (§6.1). */
  frames(opcode: number, payload: Uint8Array, size: number): ReadonlyArray<FrameSpec> {
    const octets = this.message(payload)
    const step = size === 0 ? octets.length : size
    const frames: Array<FrameSpec> = []
    for (let from = 0; from < octets.length; from += step) {
      frames.push({
        opcode: from === 0 ? opcode : Continuation,
        payload: octets.subarray(from, from + step),
        fin: from + step >= octets.length,
        rsv: from === 0 ? rsv1 : 0
      })
    }
    return frames
  }
}
