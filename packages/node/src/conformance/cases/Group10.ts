/** Group 10, fragmentation by the sender: 65536 octets in 50 frames of 1300 and one of 536. */
import { Text } from "../wire/Frames.ts"
import { type Case, clean, echoText, fill, fragments, makeCase, send } from "./Case.ts"

export const group10: ReadonlyArray<Case> = [
  makeCase("10.1.1", "Text of 65536 octets in fragments of 1300", () => {
    const payload = fill("*", 65536)
    return clean([send(fragments(Text, payload, 1300))], [echoText(payload)])
  })
]
