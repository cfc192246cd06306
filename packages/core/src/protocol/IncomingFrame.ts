/** The frame that is being received: its header, and how much of its payload has arrived. */
import { FrameHeader } from "../codec/FrameHeader.ts"
import { maskInto } from "../codec/Mask.ts"

const noBytes = new Uint8Array(0)

export class IncomingFrame extends FrameHeader {
  /** Its header is complete and was checked. */
  begun = false
  /** Bytes of payload that have not arrived, and those that have. */
  remaining = 0
  received = 0
  /** The payload of a control frame, at most 125 bytes (RFC 6455 §5.5). */
  control: Uint8Array = noBytes

  begin(): void {
    this.begun = true
    this.remaining = this.length
    this.received = 0
  }

  /** 0 where it is not masked. */
  get key(): number {
    return this.masked ? this.maskKey : 0
  }

  /** Adds the next bytes to the payload of a control frame. */
  addControl(bytes: Uint8Array, start: number, end: number): void {
    if (end === start) return
    if (this.received === 0) this.control = new Uint8Array(this.length)
    if (this.masked) maskInto(bytes, start, end, this.control, this.received, this.maskKey, this.received & 3)
    else this.control.set(bytes.subarray(start, end), this.received)
  }

  override reset(): void {
    super.reset()
    this.begun = false
    this.control = noBytes
  }
}
