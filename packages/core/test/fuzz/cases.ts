/**
 * Inputs worth keeping, by target: what was found once, and what should be found if it came back. The first bytes are
 * the target's choices, the rest is the stream; `npm run fuzz -- --replay TARGET HEX` runs one.
 */
export interface Case {
  readonly hex: string
  readonly what: string
}

export const cases: Readonly<Record<string, ReadonlyArray<Case>>> = {
  receiving: [
    { hex: "010000000000817ec3a9", what: "a text whose length is never complete" },
    { hex: "0100000000008102c328", what: "a second byte that cannot follow" },
    { hex: "010000000000010181800182", what: "a message ends where a new one begins" },
    { hex: "010000000000827f8000000000000000", what: "the highest bit of a 64-bit length" },
    { hex: "010000000000827f001fffffffffffff", what: "a length of 2^53-1" },
    { hex: "010000000000827f0020000000000000", what: "a length of 2^53" },
    { hex: "0100000000008801", what: "a Close of one byte that has not come" },
    { hex: "01000000000001008000", what: "empty fragments" }
  ],
  handshaking: [
    { hex: "0f01010001da010110000d01a70e", what: "a space behind a Content-Length of 0, which is none of its value" }
  ],
  calling: [
    { hex: "000005000000070a0000000007", what: "a ping behind our Close" },
    { hex: "00000207000205000000020107", what: "a Close inside a fragmented message" }
  ]
}
