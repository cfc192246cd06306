import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Message from "../src/Message.ts"

describe("Message", () => {
  it.prop("is text or binary, never both, and knows its bytes", { message: Message.Message }, ({ message }) => {
    assert.strictEqual(Message.isText(message), !Message.isBinary(message))
    const bytes = Message.isText(message) ? new TextEncoder().encode(message) : message
    assert.strictEqual(Message.byteLength(message), bytes.length)
  })

  it("is nothing else", () => {
    for (const value of [0, null, undefined, {}, [1], new ArrayBuffer(2), new Uint16Array(2)]) {
      assert.isFalse(Schema.is(Message.Message)(value))
    }
  })
})
