import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Message from "../src/Message.ts"

describe("Message", () => {
  it.prop("is text or binary, never both, and knows its bytes", { message: Message.Message }, ({ message }) => {
    assert.strictEqual(Message.isText(message), !Message.isBinary(message))
    const bytes = Message.isText(message) ? new TextEncoder().encode(message) : message
    assert.strictEqual(Message.byteLength(message), bytes.length)
  })

  it("prepared for many, is encoded once for each way to encode, and does not change with its bytes", () => {
    const bytes = Uint8Array.of(1, 2, 3)
    const prepared = Message.prepare(bytes)
    bytes.fill(9)
    assert.deepStrictEqual(prepared.message, Uint8Array.of(1, 2, 3))
    let encoded = 0
    const encode = (message: Message.Message) => {
      encoded++
      return Uint8Array.of(Message.byteLength(message), encoded)
    }
    const first = prepared.encoding("a", encode)
    assert.strictEqual(prepared.encoding("a", encode), first)
    assert.deepStrictEqual(prepared.encoding("b", encode), Uint8Array.of(3, 2))
    assert.strictEqual(encoded, 2)
  })

  it("is nothing else", () => {
    for (const value of [0, null, undefined, {}, [1], new ArrayBuffer(2), new Uint16Array(2)]) {
      assert.isFalse(Schema.is(Message.Message)(value))
    }
  })
})
