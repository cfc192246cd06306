/**
 * The connection behind the 101 answer of an `HttpClient`, so that messages do not go through its `Socket`:
 * that costs a fiber's turn and a copy for each read and each write (measured with an echo client at 64 B, 32
 * outstanding: about four times the CPU).
 *
 * The clients of `@effect/platform-node` keep the connection in a property that is not in their documentation.
 * It is looked for in each answer; where something is missing the `Socket` serves.
 */
import { Duplex } from "node:stream"

// Wrappers of `HttpClient` name what they wrap `original`.
const maxWrappers = 8

/** `upgraded` of a response over node:http, `source.upgraded` of one over undici. */
const duplexOf = (response: object): Duplex | undefined => {
  let current: object | undefined = response
  for (let depth = 0; current !== undefined && depth < maxWrappers; depth++) {
    const upgraded = property(current, "upgraded") ?? property(property(current, "source"), "upgraded")
    if (upgraded instanceof Duplex) return upgraded
    const original: unknown = property(current, "original")
    current = typeof original === "object" && original !== null ? original : undefined
  }
  return undefined
}

const property = (of: unknown, name: string): unknown =>
  typeof of === "object" && of !== null ? Reflect.get(of, name) : undefined

/** A connection that nobody reads yet, and the bytes that came behind the answer. */
export interface Upgraded {
  readonly duplex: Duplex
  readonly early: Uint8Array | undefined
}

/** The connection of an answer that switched protocols; `undefined` where it is out of reach. */
export const find = (response: object): Upgraded | undefined => {
  const duplex = duplexOf(response)
  // Whoever listens for data has begun to read.
  if (duplex === undefined || duplex.destroyed || duplex.readableFlowing === true) return undefined
  // Bytes behind the head were pushed back.
  const early = duplex.readableLength > 0 ? duplex.read() as Uint8Array | null : null
  return { duplex, early: early ?? undefined }
}
