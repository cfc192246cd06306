/**
 * The message that is being received, from its first frame to its last: what it has used of the
 * limits, and the payload that arrived, unless that was delivered in pieces.
 */
import type { Memory } from "../memory/LentMemory.ts"
import type { Message } from "../Message.ts"
import * as Opcode from "../Opcode.ts"
import type { Primitives } from "../Primitives.ts"
import { GrowingBuffer } from "./GrowingBuffer.ts"
import type { IncomingFrame } from "./IncomingFrame.ts"
import { IncomingText } from "./IncomingText.ts"
import type { PayloadReader } from "./PayloadReader.ts"

export class IncomingMessage {
  readonly type: "text" | "binary"
  /** The frames that it has so far, and what they count against the limit of its size. */
  frames = 0
  charged = 0

  private readonly primitives: Primitives
  // What bytes get their memory from.
  private memory: Memory
  private text: IncomingText | undefined
  private bytes: GrowingBuffer | undefined

  constructor(opcode: number, primitives: Primitives, memory: Memory = primitives) {
    this.type = opcode === Opcode.Text ? "text" : "binary"
    this.primitives = primitives
    this.memory = memory
  }

  /** Whether payload was added. */
  get hasPayload(): boolean {
    return this.text !== undefined || this.bytes !== undefined
  }

  /** Bytes of payload that arrived and were not taken. */
  get length(): number {
    return this.text !== undefined ? this.text.length : this.bytes !== undefined ? this.bytes.length : 0
  }

  /** The memory that they take up: bytes of a frame are reserved when it begins. */
  get capacity(): number {
    return this.bytes !== undefined ? this.bytes.buffer.length : this.length
  }

  /** Whether a text ends at the end of a character. */
  get isComplete(): boolean {
    return this.text === undefined || this.text.isComplete
  }

  /** Adds a part of a frame's payload. `false`: the text is not UTF-8. */
  add(frame: IncomingFrame, payloads: PayloadReader, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.type === "text") {
      this.text ??= new IncomingText(this.primitives)
      return payloads.textPart(this.text, bytes, start, end, frame.key, frame.received & 3)
    }
    const buffer = this.bytes ??= new GrowingBuffer(this.memory)
    if (frame.received === 0) buffer.reserve(frame.length, frame.fin)
    payloads.into(bytes, start, end, buffer.buffer, buffer.length, frame.key, frame.received & 3)
    buffer.length += end - start
    return true
  }

  /** Adds decoded bytes, which belong to the message from now on. `false`: the text is not UTF-8. */
  append(bytes: Uint8Array): boolean {
    if (this.type === "text") {
      this.text ??= new IncomingText(this.primitives)
      return this.text.push(bytes, 0, bytes.length, false)
    }
    this.bytes ??= new GrowingBuffer(this.memory)
    this.bytes.append(bytes)
    return true
  }

  /** Takes the payload so far: whole characters of a text, all bytes otherwise. */
  take(): Message {
    if (this.type === "text") return this.text === undefined ? "" : this.text.take()
    const { bytes } = this
    this.bytes = undefined
    return bytes === undefined ? new Uint8Array(0) : bytes.bytes
  }

  /** From now on its bytes lie in other memory. */
  moveTo(memory: Memory): void {
    this.memory = memory
    this.bytes?.moveTo(memory)
  }

  /** Drops the payload, which nothing will read. */
  drop(): void {
    this.text = this.bytes = undefined
  }
}
