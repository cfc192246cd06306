/** Inputs worth keeping, by target: see those of core. */
import type { Case } from "../../../core/test/fuzz/cases.ts"

export const cases: Readonly<Record<string, ReadonlyArray<Case>>> = {
  ws: [
    { hex: "010000827e0001ff", what: "a length in two bytes more than it needs" },
    { hex: "010000827f800000000000000000", what: "the highest bit of a 64-bit length" },
    { hex: "01000001ff8000", what: "half a character, and the message goes on" },
    { hex: "0100008801", what: "a Close of one byte, told by its header" },
    { hex: "010000010100000000000000000000", what: "more fragments than the limit" },
    { hex: "dd00007f001fffffffffffff", what: "a first byte that breaks no rule before the second" }
  ],
  deflating: [
    { hex: "43c0f206552c758c51c0f536130d8bde", what: "a message that ends with a final block, and without the byte behind it" },
    { hex: "4fb27fabcc19ba945df508203b", what: "a block that swallows the tail" },
    { hex: "e446aef5febeb3f8dc6ef1fabe872ad60563981a9bbfb8b7af", what: "a window is empty behind a final block" },
    { hex: "f75ecdd7eff3", what: "a stored block with wrong lengths" },
    { hex: "1dd18ab0a2602453152eada8", what: "a damaged final block" }
  ]
}
