import { assert, describe, it } from "@effect/vitest"
import { maskInto } from "../../src/codec/Mask.ts"
import { portable } from "../../src/Primitives.ts"
import { IncomingText } from "../../src/protocol/IncomingText.ts"
import { type Chunks, payloadReaderOf } from "../../src/protocol/PayloadReader.ts"

const kinds: ReadonlyArray<Chunks> = ["borrowed", "scratch", "owned"]
const keys = [0, 0x01020304, -0x71625344]

/** A chunk with payload from byte 10 on, masked as the wire has it, and with other bytes around it. */
const chunkOf = (payload: Uint8Array, key: number, phase = 0) => {
  const chunk = new Uint8Array(payload.length + 20).fill(0x3c)
  maskInto(payload, 0, payload.length, chunk, 10, key, phase)
  return { chunk, start: 10, end: 10 + payload.length }
}

const pattern = (size: number) => Uint8Array.from({ length: size }, (_, i) => i * 7 + 1)

/** What a chunk may look like afterwards: borrowed ones as they were, others unmasked in place. */
const untouched = (kind: Chunks, chunk: Uint8Array, before: Uint8Array, start: number, end: number) => {
  if (kind === "borrowed") assert.deepStrictEqual(chunk, before)
  else assert.deepStrictEqual([...chunk.subarray(0, start), ...chunk.subarray(end)], [...before.subarray(0, start), ...before.subarray(end)])
}

describe("PayloadReader", () => {
  it("is one for all connections with the same chunks and primitives", () => {
    for (const kind of kinds) {
      const reader = payloadReaderOf(kind, portable)
      assert.strictEqual(reader.chunks, kind)
      assert.strictEqual(reader.primitives, portable)
      assert.strictEqual(payloadReaderOf(kind, portable), reader)
      assert.notStrictEqual(payloadReaderOf(kind, { ...portable }), reader)
    }
  })

  it("decodes a text, masked or not, and refuses one that is not UTF-8", () => {
    for (const kind of kinds) {
      const reader = payloadReaderOf(kind, portable)
      for (const key of keys) {
        // The last is larger than what is unmasked at once without growing.
        for (const text of ["", "a", "\u20ac".repeat(30), "a".repeat(70_000)]) {
          const { chunk, end, start } = chunkOf(new TextEncoder().encode(text), key)
          const before = chunk.slice()
          assert.strictEqual(reader.text(chunk, start, end, key), text)
          untouched(kind, chunk, before, start, end)
        }
        const wrong = chunkOf(Uint8Array.of(0x61, 0xe2, 0x82), key)
        assert.isUndefined(reader.text(wrong.chunk, wrong.start, wrong.end, key))
      }
    }
  })

  it("adds a part of a text, wherever in its frame it begins", () => {
    for (const kind of kinds) {
      const reader = payloadReaderOf(kind, portable)
      for (const key of keys) {
        for (const phase of [0, 1, 2, 3]) {
          const text = new IncomingText(portable)
          for (const part of ["a".repeat(100), "\u20ac\u20ac"]) {
            const { chunk, end, start } = chunkOf(new TextEncoder().encode(part), key, phase)
            const before = chunk.slice()
            assert.isTrue(reader.textPart(text, chunk, start, end, key, phase))
            untouched(kind, chunk, before, start, end)
          }
          assert.strictEqual(text.take(), `${"a".repeat(100)}\u20ac\u20ac`)
          const wrong = chunkOf(Uint8Array.of(0xff), key, phase)
          assert.isFalse(reader.textPart(text, wrong.chunk, wrong.start, wrong.end, key, phase))
        }
      }
    }
  })

  it("gives bytes that may be kept, and a view of an owned chunk where they are many", () => {
    for (const kind of kinds) {
      const reader = payloadReaderOf(kind, portable)
      for (const key of keys) {
        for (const phase of [0, 1, 2, 3]) {
          for (const size of [0, 1, 64, 65, 99, 100, 3000]) {
            const payload = pattern(size)
            const { chunk, end, start } = chunkOf(payload, key, phase)
            const before = chunk.slice()
            const part = reader.part(chunk, start, end, key, phase, 100)
            assert.deepStrictEqual(part, payload)
            untouched(kind, chunk, before, start, end)
            const isView = kind === "owned" && size >= 100
            assert.strictEqual(part.buffer === chunk.buffer, isView)
            if (!isView) assert.strictEqual(part.buffer.byteLength, size)
          }
        }
      }
    }
  })

  it("gives plain bytes of a Node Buffer, whose subarrays are Buffers", () => {
    const { chunk, end, start } = chunkOf(pattern(3000), 0)
    const part = payloadReaderOf("owned", portable).part(Buffer.from(chunk.buffer), start, end, 0, 0, 100)
    assert.strictEqual(Object.getPrototypeOf(part), Uint8Array.prototype)
    assert.deepStrictEqual(part, pattern(3000))
  })

  it("writes into memory of another, and not beside it", () => {
    for (const kind of kinds) {
      const reader = payloadReaderOf(kind, portable)
      for (const key of keys) {
        for (const phase of [0, 1, 2, 3]) {
          for (const size of [0, 1, 5, 100]) {
            const { chunk, end, start } = chunkOf(pattern(size), key, phase)
            const before = chunk.slice()
            const target = new Uint8Array(size + 10).fill(0xee)
            reader.into(chunk, start, end, target, 5, key, phase)
            assert.deepStrictEqual([...target], [...Array(5).fill(0xee), ...pattern(size), ...Array(5).fill(0xee)])
            untouched(kind, chunk, before, start, end)
          }
        }
      }
      const whole = pattern(100)
      const target = new Uint8Array(100)
      reader.into(whole, 0, 100, target, 0, 0, 0)
      assert.deepStrictEqual(target, pattern(100))
    }
  })
})
