/** A zlib stream's handle, step by step. */
import { assert, describe, it } from "@effect/vitest"
import { constants } from "node:zlib"
import * as ZlibHandle from "../../src/undocumented/ZlibHandle.ts"

const { Z_SYNC_FLUSH } = constants

// RFC 7692 §7.2.3.1: "Hello" in a fixed block, before the last four bytes of a flush are dropped.
const hello = new TextEncoder().encode("Hello")
const deflated = Uint8Array.of(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff)

describe("ZlibHandle", () => {
  it("deflates and inflates, says what is left, and forgets when it is reset", () => {
    const output = new Uint8Array(100)
    const deflate = ZlibHandle.deflate({ windowBits: 15, level: 1, memLevel: 8 })
    const inflate = ZlibHandle.inflate(15)
    for (let round = 0; round < 2; round++) {
      deflate.step(Z_SYNC_FLUSH, hello, 0, hello.length, output, 10, 90)
      assert.deepStrictEqual([deflate.rest, 90 - deflate.room], [0, deflated.length])
      assert.deepStrictEqual(output.slice(10, 10 + deflated.length), deflated)
      inflate.step(Z_SYNC_FLUSH, deflated, 0, deflated.length, output, 0, 3)
      assert.deepStrictEqual([inflate.room, output.slice(0, 3)], [0, hello.slice(0, 3)])
      inflate.step(Z_SYNC_FLUSH, deflated, deflated.length - inflate.rest, inflate.rest, output, 3, 97)
      assert.deepStrictEqual([inflate.rest, 97 - inflate.room, output.slice(0, 5)], [0, 2, hello])
      assert.isUndefined(inflate.failure)
      deflate.reset()
      inflate.reset()
    }
    inflate.step(Z_SYNC_FLUSH, Uint8Array.of(0x06), 0, 1, output, 0, 100)
    assert.strictEqual(inflate.failure, "invalid block type")
    deflate.close()
    inflate.close()
  })
})
