import { assert, describe, it } from "@effect/vitest"
import { brief, dump, parse } from "../../../src/cli/terminal/Hex.ts"
import { plain } from "../../../src/cli/terminal/Style.ts"

describe("Hex", () => {
  it("shows bytes with their offset and their ASCII", () => {
    const bytes = Uint8Array.from({ length: 18 }, (_, index) => index + 0x38)
    assert.strictEqual(
      dump(bytes, plain),
      "00000000  38 39 3a 3b 3c 3d 3e 3f  40 41 42 43 44 45 46 47  89:;<=>?@ABCDEFG\n" +
        "00000010  48 49                                             HI"
    )
  })

  it("leaves out what is too much, and says so", () => {
    assert.match(dump(new Uint8Array(600), plain), /\n… 88 more bytes$/)
    assert.strictEqual(brief(Uint8Array.of(1, 2, 3), 2), "01 02 …")
    assert.strictEqual(brief(Uint8Array.of(1, 2), 2), "01 02")
  })

  it("reads digits, and refuses what is none", () => {
    assert.deepStrictEqual(parse("00 fF10"), Uint8Array.of(0, 255, 16))
    assert.deepStrictEqual(parse(""), new Uint8Array(0))
    for (const wrong of ["0", "0g", "0x00"]) assert.isUndefined(parse(wrong))
  })
})
