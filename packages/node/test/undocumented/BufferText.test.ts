/** Buffer's methods are used only where they do on known texts what they should. */
import { assert, describe, it } from "@effect/vitest"
import { Buffer } from "node:buffer"
import * as BufferText from "../../src/undocumented/BufferText.ts"

const own = Buffer.prototype as unknown as BufferText.BufferText
const { latin1Slice, utf8Slice, utf8Write } = own

describe("BufferText", () => {
  it("finds those of this Node", () => {
    assert.strictEqual(BufferText.find(own), own)
  })

  const others: Readonly<Record<string, Partial<BufferText.BufferText>>> = {
    "none of them": {},
    "one less": { utf8Slice, utf8Write },
    "a decoder that drops a mark of order": {
      ...own,
      utf8Slice(start, end) {
        return utf8Slice.call(this, start, end).replace("\uFEFF", "")
      }
    },
    "a decoder that fails on what is no UTF-8": {
      ...own,
      utf8Slice(start, end) {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.subarray(start, end))
      }
    },
    "a decoder that takes a length for the end": {
      ...own,
      utf8Slice(start, end) {
        return utf8Slice.call(this, start, start + end)
      }
    },
    "a decoder of ASCII for Latin-1": {
      ...own,
      latin1Slice(start, end) {
        return latin1Slice.call(this.map((byte) => byte & 0x7f), start, end)
      }
    },
    "an encoder that ignores the offset": {
      ...own,
      utf8Write(text, _, length) {
        return utf8Write.call(this, text, 0, length)
      }
    },
    "an encoder that says too little": {
      ...own,
      utf8Write(text, offset, length) {
        return utf8Write.call(this, text, offset, length) - 1
      }
    },
    "an encoder that stops at half a pair": {
      ...own,
      utf8Write(text, offset, length) {
        return utf8Write.call(this, text.slice(0, -1), offset, length)
      }
    },
    "an encoder that writes more": {
      ...own,
      utf8Write(text, offset, length) {
        const written = utf8Write.call(this, text, offset, length)
        this[this.length - 1] = 1
        return written
      }
    }
  }
  for (const [what, methods] of Object.entries(others)) {
    it(`does not take ${what}`, () => {
      const all = { latin1Slice, utf8Slice, utf8Write, ...methods }
      assert.isUndefined(BufferText.find(what === "none of them" || what === "one less" ? methods : all))
    })
  }
})
