import { assert, describe, it } from "@effect/vitest"
import * as Opcode from "../../src/Opcode.ts"
import { IncomingFrame } from "../../src/protocol/IncomingFrame.ts"
import { frame as encode } from "../support/FakeTransport.ts"

/** A frame whose header was read from these bytes, and where its payload begins. */
const read = (bytes: Uint8Array) => {
  const masked = (bytes[1]! & 0x80) !== 0
  const frame = new IncomingFrame(masked ? "required" : "forbidden")
  const offset = frame.parse(bytes, 0, bytes.length)
  assert.isTrue(frame.complete)
  return { frame, offset }
}

describe("IncomingFrame", () => {
  it("counts its payload from the moment it was judged", () => {
    const { frame } = read(encode(Opcode.Binary, new Uint8Array(20)))
    assert.deepStrictEqual([frame.begun, frame.remaining], [false, 0])
    frame.received = 7
    frame.begin()
    assert.deepStrictEqual([frame.begun, frame.remaining, frame.received], [true, 20, 0])
  })

  it("has a key of 0 where it is not masked, whatever was masked before it", () => {
    const bytes = encode(Opcode.Text, "x", { masked: true })
    const { frame } = read(bytes)
    assert.strictEqual(frame.key, new DataView(bytes.buffer, bytes.byteOffset).getInt32(2, true))
    frame.masked = false
    assert.strictEqual(frame.key, 0)
  })

  it("collects the payload of a control frame, unmasked, however it is cut", () => {
    const payload = Uint8Array.from({ length: 125 }, (_, i) => i * 3)
    for (const masked of [false, true]) {
      const bytes = encode(Opcode.Ping, payload, { masked })
      for (const sizes of [[125], [1, 124], [50, 1, 74], Array.from({ length: 125 }, () => 1)]) {
        const { frame, offset } = read(bytes)
        frame.begin()
        let at = offset
        for (const size of sizes) {
          frame.addControl(bytes, at, at + size)
          frame.addControl(bytes, at, at)
          frame.received += size
          at += size
        }
        assert.deepStrictEqual(frame.control, payload)
      }
    }
  })

  it("is blank after a reset, and keeps no payload", () => {
    const bytes = encode(Opcode.Pong, "abc")
    const { frame, offset } = read(bytes)
    frame.begin()
    frame.addControl(bytes, offset, bytes.length)
    frame.reset()
    assert.deepStrictEqual([frame.begun, frame.isBlank(), frame.complete, frame.control.length], [false, true, false, 0])
  })
})
