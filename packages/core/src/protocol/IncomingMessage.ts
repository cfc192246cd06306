/**
 * The message that is being received, from its first frame to its last: what it has used of the
 * limits, and the payload that arrived, unless that was delivered in pieces.
 */
import { Utf8Validator } from "../codec/Utf8.ts"
import type { Message } from "../Message.ts"
import * as Opcode from "../Opcode.ts"
import type { Primitives } from "../Primitives.ts"
import { Assembly } from "./Assembly.ts"
import type { IncomingFrame } from "./IncomingFrame.ts"
import type { Payloads } from "./Payloads.ts"

export class IncomingMessage {
  readonly type: "text" | "binary"
  /** The frames that it has so far, and what they count against the limit of its size. */
  frames = 0
  charged = 0

  private readonly primitives: Primitives
  private assembly: Assembly | undefined
  private validator: Utf8Validator | undefined

  constructor(opcode: number, primitives: Primitives) {
    this.type = opcode === Opcode.Text ? "text" : "binary"
    this.primitives = primitives
  }

  /** Whether payload was added that is still here. */
  get hasPayload(): boolean {
    return this.assembly !== undefined
  }

  /** Bytes of payload that are here. */
  get length(): number {
    return this.assembly === undefined ? 0 : this.assembly.length
  }

  /** The memory that they take up: a frame's declared length is reserved when it begins. */
  get capacity(): number {
    return this.assembly === undefined ? 0 : this.assembly.buffer.length
  }

  /**
   * Whether a text can still become UTF-8 with these bytes (RFC 6455 §8.1). Each byte of the
   * payload is shown once, in order, so that a text fails at the first byte that proves it invalid.
   */
  admits(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.type === "binary") return true
    return (this.validator ??= new Utf8Validator(this.primitives.isUtf8)).push(bytes, start, end)
  }

  /** Whether a text ends at the end of a character. */
  get isComplete(): boolean {
    return this.validator === undefined || this.validator.isComplete()
  }

  /** Adds a part of a frame's payload. `false`: the text is not UTF-8. */
  add(frame: IncomingFrame, payloads: Payloads, bytes: Uint8Array, start: number, end: number): boolean {
    const assembly = this.assembly ??= new Assembly(this.primitives)
    if (frame.received === 0) assembly.reserve(frame.length, frame.fin)
    const at = assembly.length
    payloads.into(bytes, start, end, assembly.buffer, at, frame.key, frame.received & 3)
    assembly.length = at + end - start
    return this.admits(assembly.buffer, at, assembly.length)
  }

  /** Adds decoded bytes, which belong to the message from now on and were admitted. */
  append(bytes: Uint8Array): void {
    const assembly = this.assembly ??= new Assembly(this.primitives)
    assembly.append(bytes)
  }

  /** Gives away the payload that is here. */
  takePayload(): Uint8Array {
    const { assembly } = this
    this.assembly = undefined
    return assembly === undefined ? new Uint8Array(0) : assembly.bytes
  }

  /** Gives away the whole message; `undefined`: a text that ends inside a character. */
  take(): Message | undefined {
    if (!this.isComplete) return undefined
    if (this.type === "binary") return this.takePayload()
    const { assembly } = this
    return assembly === undefined ? "" : this.primitives.decodeUtf8(assembly.buffer, 0, assembly.length)
  }

  /** Forgets the payload: nobody will read it. */
  drop(): void {
    this.assembly = undefined
  }
}
