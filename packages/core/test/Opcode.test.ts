import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Opcode from "../src/Opcode.ts"

const all = Array.from({ length: 16 }, (_, i) => i)

describe("Opcode", () => {
  it("knows the six opcodes of RFC 6455 §5.2, and which of them are control frames", () => {
    const { Binary, Close, Continuation, Ping, Pong, Text } = Opcode
    assert.deepStrictEqual([Continuation, Text, Binary, Close, Ping, Pong], [0, 1, 2, 8, 9, 10])
    assert.deepStrictEqual(all.filter(Opcode.isOpcode), [0, 1, 2, 8, 9, 10])
    assert.deepStrictEqual(all.filter((opcode) => Schema.is(Opcode.Opcode)(opcode)), [0, 1, 2, 8, 9, 10])
    assert.deepStrictEqual(all.filter(Opcode.isControl), [8, 9, 10, 11, 12, 13, 14, 15])
  })
})
