/**
 * What the soak's messages carry, so that the receiver can tell whether it is the right one: its place in the
 * sequence, and a checksum over its contents, its place, its type and the connection that it belongs to. An empty
 * message can carry nothing; it is known by its place alone.
 *
 * The head is fixed: 8 hexadecimal digits of the sequence number, one letter of the command, 8 digits of the checksum;
 * the rest is the body. Of a binary message it is the same in ASCII.
 */
import { Buffer } from "node:buffer"
import { crc32 } from "node:zlib"

/** What the receiver is asked for: nothing, or to close the connection once this was answered. */
export type Command = "." | "c"

export type Body = string | Uint8Array

const headLength = 17

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, "0")

/** What one connection's messages in one direction are bound to, so that one of another connection is not taken for them. */
const seedOf = (binding: string, seq: number, command: string, isText: boolean): number =>
  crc32(`${binding} ${seq} ${command} ${isText ? "text" : "binary"}`)

/** Puts the head in front of a body. */
export const make = (binding: string, seq: number, command: Command, body: Body): Body => {
  const isText = typeof body === "string"
  const head = `${hex(seq)}${command}${hex(crc32(body, seedOf(binding, seq, command, isText)))}`
  if (isText) return head + body
  const bytes = new Uint8Array(headLength + body.length)
  Buffer.from(bytes.buffer).write(head, "latin1")
  bytes.set(body, headLength)
  return bytes
}

export type Verdict =
  | { readonly _tag: "Empty" }
  | { readonly _tag: "Intact"; readonly seq: number; readonly command: Command }
  | { readonly _tag: "Corrupt"; readonly what: string }

const asNumber = (digits: string): number | undefined => {
  for (const digit of digits) if (!"0123456789abcdef".includes(digit)) return undefined
  return Number.parseInt(digits, 16)
}

/** Checks one message, whole or as it comes in pieces. Texts are cut at code points. */
export class Checker {
  private readonly binding: string
  private readonly isText: boolean
  private head = ""
  private size = 0
  private checksum: number | undefined

  constructor(binding: string, isText: boolean) {
    this.binding = binding
    this.isText = isText
  }

  /** Bytes, or UTF-16 units of a text. */
  get length(): number {
    return this.size
  }

  push(piece: Body): void {
    this.size += piece.length
    if ((typeof piece === "string") !== this.isText) {
      this.head = "another type"
      return
    }
    const missing = headLength - this.head.length
    if (missing > 0) {
      const first = typeof piece === "string" ? piece.slice(0, missing) : Buffer.from(piece.subarray(0, missing)).toString("latin1")
      this.head += first
      if (piece.length < missing) return
    }
    const rest = typeof piece === "string" ? piece.slice(Math.max(0, missing)) : piece.subarray(Math.max(0, missing))
    this.checksum ??= seedOf(this.binding, asNumber(this.head.slice(0, 8)) ?? 0, this.head.slice(8, 9), this.isText)
    this.checksum = crc32(rest, this.checksum)
  }

  end(): Verdict {
    if (this.size === 0) return { _tag: "Empty" }
    const seq = asNumber(this.head.slice(0, 8))
    const command = this.head.slice(8, 9)
    const expected = asNumber(this.head.slice(9))
    if (this.head.length !== headLength || seq === undefined || expected === undefined) {
      return { _tag: "Corrupt", what: `${this.size} bytes without a head` }
    }
    if ((command !== "." && command !== "c") || expected !== this.checksum) {
      return { _tag: "Corrupt", what: `message ${seq}, ${this.size} bytes: the checksum is another` }
    }
    return { _tag: "Intact", seq, command }
  }
}

/** Checks a whole message. */
export const check = (binding: string, message: Body): Verdict => {
  const checker = new Checker(binding, typeof message === "string")
  checker.push(message)
  return checker.end()
}
