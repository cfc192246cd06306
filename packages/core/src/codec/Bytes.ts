/**
 * Payloads as callers give them. Types do not hold everywhere: a program in JavaScript may
 * hand over a number, a list or some object with a `length`, and memory is not to be read
 * or made by what that says (ws CVE-2016-10518, CVE-2016-10542).
 */

/** The bytes themselves; what is none, or has larger elements, is the caller's defect. */
export const bytesOf = (payload: Uint8Array): Uint8Array => {
  // Not `instanceof`, which bytes of another realm are not.
  if (payload.BYTES_PER_ELEMENT === 1) return payload
  throw new TypeError("a payload must be a string or a Uint8Array")
}
