/**
 * The connection of an `HttpClient`'s 101 answer, so that messages do not go through its `Socket`: that would cost a
 * turn of a fiber and a copy for each read and each write (measured with an echo client at 64 B, 32 outstanding:
 * about four times the CPU time).
 *
 * The clients of `@effect/platform-node` keep the connection in a property that is not in their documentation.
 * It is looked for in each answer. If something is missing, the `Socket` is used.
 */
import { Duplex } from "node:stream"

// Wrappers of `HttpClient` keep the wrapped response as `original`.
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

/** A connection that nothing reads yet, and the bytes that followed the answer. */
export interface Upgraded {
  readonly duplex: Duplex
  readonly early: Uint8Array | undefined
}

/** The connection of a 101 answer; `undefined` where it cannot be found. */
export const find = (response: object): Upgraded | undefined => {
  const duplex = duplexOf(response)
  // A listener for data has begun to read.
  if (duplex === undefined || duplex.destroyed || duplex.readableFlowing === true) return undefined
  // Bytes after the head were pushed back.
  const early = duplex.readableLength > 0 ? duplex.read() as Uint8Array | null : null
  return { duplex, early: early ?? undefined }
}
