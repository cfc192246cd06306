import { assert, describe, it } from "@effect/vitest"
import * as Opcode from "../../src/Opcode.ts"
import { lentMemoryOf } from "../../src/memory/LentMemory.ts"
import { portable } from "../../src/Primitives.ts"
import { IncomingFrame } from "../../src/protocol/IncomingFrame.ts"
import { IncomingMessage } from "../../src/protocol/IncomingMessage.ts"
import { payloadReaderOf } from "../../src/protocol/PayloadReader.ts"
import { frame as encode } from "../support/FakeTransport.ts"

const reader = payloadReaderOf("scratch", portable)

/** Adds one frame, in parts of `size` bytes; whether the text was UTF-8. */
const add = (message: IncomingMessage, data: Uint8Array | string, fin: boolean, size = Infinity): boolean => {
  const bytes = encode(Opcode.Continuation, data, { fin, masked: true })
  const frame = new IncomingFrame("required")
  let at = frame.parse(bytes, 0, bytes.length)
  frame.begin()
  do {
    const end = Math.min(bytes.length, at + size)
    if (!message.add(frame, reader, bytes, at, end)) return false
    frame.received += end - at
    at = end
  } while (at < bytes.length)
  return true
}

const make = (opcode: number) => new IncomingMessage(opcode, portable)

describe("IncomingMessage", () => {
  it("joins the frames of a binary message, and reserves the memory of each when it begins", () => {
    const message = make(Opcode.Binary)
    assert.strictEqual(message.type, "binary")
    assert.deepStrictEqual([message.hasPayload, message.length, message.capacity], [false, 0, 0])
    assert.isTrue(add(message, Uint8Array.of(1, 2, 3, 4, 5), false, 2))
    assert.deepStrictEqual([message.hasPayload, message.length, message.capacity], [true, 5, 256])
    const bytes = encode(Opcode.Continuation, new Uint8Array(1000).fill(6), { masked: true })
    const frame = new IncomingFrame("required")
    const at = frame.parse(bytes, 0, bytes.length)
    frame.begin()
    message.add(frame, reader, bytes, at, at + 3)
    assert.deepStrictEqual([message.length, message.capacity], [8, 1005], "the last frame gets exactly what is needed")
    frame.received = 3
    message.add(frame, reader, bytes, at + 3, bytes.length)
    assert.isTrue(message.isComplete)
    assert.deepStrictEqual(message.take(), Uint8Array.of(1, 2, 3, 4, 5, ...new Uint8Array(1000).fill(6)))
    assert.deepStrictEqual([message.hasPayload, message.length, message.capacity], [false, 0, 0])
    assert.deepStrictEqual(message.take(), new Uint8Array(0))
  })

  it("moves its bytes to other memory", () => {
    const message = new IncomingMessage(Opcode.Binary, portable, lentMemoryOf(portable))
    message.moveTo(portable)
    assert.isTrue(add(message, new Uint8Array(5000).fill(1), false, 100))
    assert.strictEqual((message.take() as Uint8Array).buffer.byteLength, 5000)
    const lent = new IncomingMessage(Opcode.Binary, portable, lentMemoryOf(portable))
    assert.isTrue(add(lent, new Uint8Array(5000).fill(1), false, 100))
    assert.strictEqual(lent.capacity, 5000)
    lent.moveTo(portable)
    assert.strictEqual(lent.capacity, 5000)
    const bytes = lent.take() as Uint8Array
    assert.deepStrictEqual([bytes, bytes.buffer.byteLength], [new Uint8Array(5000).fill(1), 5000])
  })

  it("joins the frames of a text, and holds what has arrived", () => {
    const message = make(Opcode.Text)
    assert.strictEqual(message.type, "text")
    assert.isTrue(message.isComplete)
    assert.strictEqual(message.take(), "")
    const text = `${"a".repeat(100)}\u20ac`
    const bytes = new TextEncoder().encode(text)
    assert.isTrue(add(message, bytes.subarray(0, 101), false, 7))
    assert.isFalse(message.isComplete, "it ends inside a character")
    assert.deepStrictEqual([message.hasPayload, message.length, message.capacity], [true, 101, 101])
    assert.isTrue(add(message, bytes.subarray(101), true, 7))
    assert.isTrue(message.isComplete)
    assert.strictEqual(message.take(), text)
    assert.strictEqual(message.length, 0)
    assert.isFalse(add(message, Uint8Array.of(0x61, 0xff), true))
  })

  it("adds what a decoder gives away", () => {
    const binary = make(Opcode.Binary)
    const part = Uint8Array.of(1, 2)
    assert.isTrue(binary.append(part))
    assert.strictEqual(binary.take(), part, "without a copy")
    assert.isTrue(binary.append(part))
    assert.isTrue(binary.append(Uint8Array.of(3)))
    assert.deepStrictEqual(binary.take(), Uint8Array.of(1, 2, 3))
    const text = make(Opcode.Text)
    assert.isTrue(text.append(Uint8Array.of(0x61, 0xe2, 0x82)))
    assert.strictEqual(text.take(), "a")
    assert.isTrue(text.append(Uint8Array.of(0xac)))
    assert.strictEqual(text.take(), "\u20ac")
    assert.isFalse(text.append(Uint8Array.of(0x80)))
  })

  it("drops what nobody will read", () => {
    for (const opcode of [Opcode.Text, Opcode.Binary]) {
      const message = make(opcode)
      message.append(Uint8Array.of(0x61, 0x62))
      message.drop()
      assert.deepStrictEqual([message.hasPayload, message.length, message.capacity], [false, 0, 0])
    }
  })
})
