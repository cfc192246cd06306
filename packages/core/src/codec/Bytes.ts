/**
 * Bytes, and payloads as callers give them. Types are not checked in JavaScript: a program may pass a
 * number, a list or an object with a `length`, and none of these may decide which memory is
 * read or allocated (ws CVE-2016-10518, CVE-2016-10542).
 */

/** Returns the bytes. Anything else, such as an array of larger elements, is the caller's defect. */
export const bytesOf = (payload: Uint8Array): Uint8Array => {
  // Not `instanceof`, which fails for bytes of another realm.
  if (payload.BYTES_PER_ELEMENT === 1) return payload
  throw new TypeError("a payload must be a string or a Uint8Array")
}

/** A copy of all, joined. */
export const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  let size = 0
  for (const part of parts) size += part.length
  const all = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
