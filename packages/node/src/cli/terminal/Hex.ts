/**
 * Bytes for people: sixteen on a line, with their offset and their ASCII characters.
 */
import type { Style } from "./Style.ts"

const perLine = 16

const two = (value: number): string => value.toString(16).padStart(2, "0")

/** At most `limit` bytes in lines. The last line says how many more there are. */
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

/** Bytes from hexadecimal digits, with or without spaces; `undefined` for anything else. */
export const parse = (text: string): Uint8Array | undefined => {
  const digits = text.replaceAll(" ", "")
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) return undefined
  return Uint8Array.from(Buffer.from(digits, "hex"))
}
