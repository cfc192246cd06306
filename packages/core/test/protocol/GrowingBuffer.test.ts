import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { portable } from "../../src/Primitives.ts"
import { GrowingBuffer } from "../../src/protocol/GrowingBuffer.ts"
import { giveBack, lentMemoryOf } from "../../src/memory/LentMemory.ts"
import { spareBytes } from "../../src/memory/SpareMemory.ts"
import { concat } from "../support/FakeTransport.ts"
import { block, freeSpare, scribble } from "../support/Spare.ts"

describe("GrowingBuffer", () => {
  it.prop("joins its parts", {
    sizes: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2000 }))), {
      maxLength: 20
    })
  }, ({ sizes }) => {
    const assembly = new GrowingBuffer(portable)
    const parts = sizes.map((size, i) => new Uint8Array(size).fill(i))
    parts.forEach((part, i) => {
      assembly.reserve(part.length, i === parts.length - 1)
      assembly.buffer.set(part, assembly.length)
      assembly.length += part.length
    })
    const taken = assembly.bytes
    assert.deepStrictEqual(taken, concat(parts))
    assert.strictEqual(taken.buffer.byteLength, taken.length)
  })

  it("reserves what is needed, twice as much as before, and 256 bytes at least; exactly so much at the end", () => {
    const assembly = new GrowingBuffer(portable)
    const sizes = [1, 256, 257, 512, 1100, 1101].map((size) => {
      assembly.reserve(size - assembly.length, false)
      assembly.length = size
      return assembly.buffer.length
    })
    assert.deepStrictEqual(sizes, [256, 256, 512, 512, 1100, 2200])
    assembly.reserve(1100, true)
    assert.strictEqual(assembly.buffer.length, 2201)
    const { buffer } = assembly
    assembly.reserve(1100, false)
    assert.strictEqual(assembly.buffer, buffer, "there is room")
  })

  it("begins with the bytes that it is given, and adds others behind them", () => {
    const first = Uint8Array.of(1, 2, 3)
    const assembly = new GrowingBuffer(portable)
    assembly.append(new Uint8Array(0))
    assembly.append(first)
    assert.strictEqual(assembly.bytes, first)
    assembly.append(new Uint8Array(0))
    assembly.append(Uint8Array.of(4, 5))
    assert.deepStrictEqual([...assembly.bytes], [1, 2, 3, 4, 5])
    assert.deepStrictEqual([...first], [1, 2, 3])
  })

  const add = (assembly: GrowingBuffer, part: Uint8Array, last = false) => {
    assembly.reserve(part.length, last)
    assembly.buffer.set(part, assembly.length)
    assembly.length += part.length
  }

  it("gives lent memory back that it has outgrown, and what it returns has the loan of the rest", () => {
    freeSpare()
    const assembly = new GrowingBuffer(lentMemoryOf(portable))
    const parts = Array.from({ length: 10 }, (_, i) => new Uint8Array(1000).fill(i))
    for (const part of parts) {
      add(assembly, part)
      scribble()
    }
    // Room for 4 and for 8 of them; that for 16 is in use.
    assert.strictEqual(spareBytes(), block(4 * 1024) + block(8 * 1024))
    const { bytes } = assembly
    assert.deepStrictEqual(bytes, concat(parts))
    assert.strictEqual(bytes.buffer.byteLength, block(16 * 1024), "it is no copy")
    giveBack(bytes)
    assert.strictEqual(spareBytes(), block(4 * 1024) + block(8 * 1024) + block(16 * 1024))
  })

  it("moves what it has to other memory, and grows there", () => {
    freeSpare()
    const assembly = new GrowingBuffer(lentMemoryOf(portable))
    const parts = [new Uint8Array(3000).fill(1), new Uint8Array(10).fill(2), new Uint8Array(5000).fill(3)]
    add(assembly, parts[0]!)
    const lent = assembly.buffer
    assembly.moveTo(portable)
    assert.notStrictEqual(assembly.buffer.buffer, lent.buffer)
    giveBack(lent)
    scribble()
    add(assembly, parts[1]!)
    add(assembly, parts[2]!, true)
    const { bytes } = assembly
    assert.deepStrictEqual(bytes, concat(parts))
    assert.strictEqual(bytes.buffer.byteLength, bytes.length)
  })
})
