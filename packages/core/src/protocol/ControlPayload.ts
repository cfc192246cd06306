/** The payload of the control frame that is being received, at most 125 bytes (RFC 6455 §5.5). */
import type { FrameHeader } from "../codec/FrameHeader.ts"
import { maskInto } from "../codec/Mask.ts"

const maxSize = 125
const noBytes = new Uint8Array(0)

export class ControlPayload {
  private buffer: Uint8Array<ArrayBuffer> | undefined

  /** Adds a part that begins at `at`. */
  add(bytes: Uint8Array, start: number, end: number, at: number, header: FrameHeader): void {
    if (end === start) return
    const buffer = this.buffer ??= new Uint8Array(maxSize)
    if (header.masked) maskInto(bytes, start, end, buffer, at, header.maskKey, at & 3)
    else buffer.set(bytes.subarray(start, end), at)
  }

  /** What there is; overwritten by the next frame's. */
  get bytes(): Uint8Array {
    return this.buffer ?? noBytes
  }
}
