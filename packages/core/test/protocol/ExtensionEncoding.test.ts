import { assert, describe, it } from "@effect/vitest"
import { ExtensionEncoding } from "../../src/protocol/ExtensionEncoding.ts"
import * as RunLength from "../support/RunLength.ts"

describe("ExtensionEncoding", () => {
  it("asks the extension which message it encodes, and counts what goes in and comes out", () => {
    const transform = RunLength.open({ compress: (message) => message !== "as it is" })
    const encoding = new ExtensionEncoding(transform.encoder)
    assert.strictEqual(encoding.begin("as it is"), 0)
    assert.strictEqual(encoding.begin("encoded"), 2)
    assert.strictEqual(encoding.begin(undefined), 2)
    assert.strictEqual(encoding.push(new Uint8Array(100), true).length, 5)
    assert.strictEqual(encoding.push(new Uint8Array(50), true).length, 5)
    assert.deepStrictEqual([encoding.inputBytes, encoding.outputBytes], [150, 10])
    assert.deepStrictEqual(transform.pushed, [100, 50])
    assert.deepStrictEqual(transform.asked, ["as it is", "encoded", undefined])
  })

  it("ends its turn once it has encoded a slice, and begins another", () => {
    const encoding = new ExtensionEncoding(RunLength.open({ sliceSize: 100 }).encoder)
    assert.strictEqual(encoding.sliceSize, 100)
    assert.isFalse(encoding.isTurnOver)
    encoding.push(new Uint8Array(99), false)
    assert.isFalse(encoding.isTurnOver)
    encoding.push(new Uint8Array(1), false)
    assert.isTrue(encoding.isTurnOver)
    encoding.beginTurn()
    assert.isFalse(encoding.isTurnOver)
    encoding.push(new Uint8Array(200), true)
    assert.isTrue(encoding.isTurnOver)
    assert.strictEqual(encoding.inputBytes, 300)
  })

  it("tells among which connections a prepared message may be shared", () => {
    const { encoder } = RunLength.open()
    assert.isUndefined(new ExtensionEncoding(encoder).shareKey)
    assert.strictEqual(new ExtensionEncoding({ ...encoder, shareKey: "all of a kind" }).shareKey, "all of a kind")
  })
})
