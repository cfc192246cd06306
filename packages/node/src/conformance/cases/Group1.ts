/** Group 1, framing: text and binary messages at the borders of the three length forms (RFC 6455 §5.2). */
import { binary, type Case, clean, echoBinary, echoText, fill, makeCase, send, text } from "./Case.ts"

const sizes: ReadonlyArray<readonly [length: number, chop?: number]> = [
  [0],
  [125],
  [126],
  [127],
  [128],
  [65535],
  [65536],
  [65536, 997]
]

const describe = (kind: string, length: number, chop: number | undefined): string =>
  `${kind} message of ${length} octets` + (chop === undefined ? "" : `, in chops of ${chop}`)

export const group1: ReadonlyArray<Case> = [
  ...sizes.map(([length, chop], index) =>
    makeCase(`1.1.${index + 1}`, describe("Text", length, chop), () => {
      const payload = fill("*", length)
      return clean([send([text(payload)], chop)], [echoText(payload)])
    })
  ),
  ...sizes.map(([length, chop], index) =>
    makeCase(`1.2.${index + 1}`, describe("Binary", length, chop), () => {
      const payload = fill(Uint8Array.of(0xfe), length)
      return clean([send([binary(payload)], chop)], [echoBinary(payload)])
    })
  )
]
