/** Node's primitives by its documentation do what the faster ones do; these are proved in NodePrimitives.test.ts. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { documented, primitives } from "../../src/transport/SystemPrimitives.ts"

describe("SystemPrimitives", () => {
  const bytes = Arbitrary.schema(Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))))

  it.prop("decode all bytes alike, of whatever memory", [bytes, Arbitrary.schema(Schema.Boolean)], ([values, isLarge]) => {
    // Memory above a bound is not remembered; that of another call must not be taken for it.
    const memory = new ArrayBuffer(isLarge ? 3 << 20 : values.length + 10)
    const view = new Uint8Array(memory, 5, values.length + 2)
    view.set(values, 1)
    const end = 1 + values.length
    assert.strictEqual(documented.decodeUtf8(view, 1, end), primitives.decodeUtf8(view, 1, end))
    assert.strictEqual(documented.decodeAscii!(view, 1, end), Array.from(values, (value) => String.fromCharCode(value)).join(""))
  })

  it("remember no memory that has grown away", () => {
    const memory = new WebAssembly.Memory({ initial: 1 })
    const write = (text: string) => {
      const view = new Uint8Array(memory.buffer, 100, 10)
      return documented.decodeUtf8(view, 0, documented.encodeUtf8Into(text, view, 0))
    }
    assert.strictEqual(write("before"), "before")
    memory.grow(1)
    assert.strictEqual(write("after"), "after")
  })
})
