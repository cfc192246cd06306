/**
 * What is fuzzed. An input is bytes and nothing else, so that every target is mutated and shrunk by the same few
 * lines; what a target needs besides a stream (role, chunks, calls) it reads from the first bytes.
 */
import type { Random } from "./Random.ts"

export interface Target {
  readonly name: string
  /** A fresh input. */
  readonly generate: (random: Random) => Uint8Array
  /** Throws if what must hold does not. */
  readonly run: (input: Uint8Array) => void
}

/** Reads decisions from the front of an input; behind its end all are 0. */
export class Choices {
  at = 0
  private readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get isEmpty(): boolean {
    return this.at >= this.bytes.length
  }

  byte(): number {
    return this.at < this.bytes.length ? this.bytes[this.at++] : 0
  }

  pick<A>(items: ReadonlyArray<A>): A {
    return items[this.byte() % items.length]
  }

  take(size: number): Uint8Array {
    const start = Math.min(this.at, this.bytes.length)
    this.at = Math.min(this.bytes.length, start + size)
    return this.bytes.subarray(start, this.at)
  }

  rest(): Uint8Array {
    return this.take(this.bytes.length)
  }
}

export class Finding extends Error {}

export const expect = (holds: boolean, what: () => string): void => {
  if (!holds) throw new Finding(what())
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export const same = (a: string | Uint8Array, b: string | Uint8Array): boolean =>
  typeof a === "string" || typeof b === "string" ? a === b : sameBytes(a, b)

export const sameAll = (
  a: ReadonlyArray<string | Uint8Array>,
  b: ReadonlyArray<string | Uint8Array>
): boolean => a.length === b.length && a.every((item, i) => same(item, b[i]))

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes.subarray(0, 40), (byte) => byte.toString(16).padStart(2, "0")).join("") + (bytes.length > 40 ? "…" : "")

export const show = (items: ReadonlyArray<string | Uint8Array>): string =>
  `[${items.map((item) => typeof item === "string" ? JSON.stringify(item.slice(0, 60)) : `<${hex(item)}>`).join(", ")}]`

export const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
