/**
 * Bytes for people: sixteen a line, with their offset and what of them is ASCII.
 */
import type { Style } from "./Style.ts"

const perLine = 16

const two = (value: number): string => value.toString(16).padStart(2, "0")

/** The bytes in lines, at most `limit` of them; how many more there are is said at the end. */
export const dump = (bytes: Uint8Array, style: Style, limit = 512): string => {
  const lines: Array<string> = []
  const end = Math.min(bytes.length, limit)
  for (let from = 0; from < end; from += perLine) {
    const line = bytes.subarray(from, Math.min(from + perLine, end))
    const octets = Array.from(line, two)
    const left = octets.slice(0, 8).join(" ").padEnd(23)
    const right = octets.slice(8).join(" ").padEnd(23)
    const ascii = Array.from(line, (octet) => (octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : ".")).join("")
    lines.push(`${style.dim(from.toString(16).padStart(8, "0"))}  ${left}  ${right}  ${style.cyan(ascii)}`)
  }
  if (bytes.length > end) lines.push(style.dim(`… ${bytes.length - end} more bytes`))
  return lines.join("\n")
}

/** The first bytes on one line. */
export const brief = (bytes: Uint8Array, limit = 16): string =>
  Array.from(bytes.subarray(0, limit), two).join(" ") + (bytes.length > limit ? " …" : "")

/** Bytes from hexadecimal digits, spaces between them allowed; `undefined` for anything else. */
export const parse = (text: string): Uint8Array | undefined => {
  const digits = text.replaceAll(" ", "")
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) return undefined
  return Uint8Array.from(Buffer.from(digits, "hex"))
}
