import { assert, beforeEach, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { endLoan, giveBack, lentMemoryOf, ownOf, shortened, withHeader } from "../../src/memory/LentMemory.ts"
import { maxSpare, put, spareBytes } from "../../src/memory/SpareMemory.ts"
import { portable } from "../../src/Primitives.ts"
import { block, counting, freeSpare } from "../support/Spare.ts"

const KiB = 1024
const MiB = 1024 * KiB

const lent = lentMemoryOf(portable)

const size = Schema.Int.check(Schema.isBetween({ minimum: 2 * KiB, maximum: 100 * KiB }))

describe("LentMemory", () => {
  beforeEach(freeSpare)

  it("lends the same memory again, to one array at a time", () => {
    const first = lent.allocate(16 * KiB)
    giveBack(first)
    const second = lent.allocate(15 * KiB)
    assert.strictEqual(second.buffer, first.buffer)
    assert.strictEqual(second.length, 15 * KiB)
    assert.notStrictEqual(lent.allocate(16 * KiB).buffer, first.buffer)
    giveBack(first)
    giveBack(first.subarray())
    assert.strictEqual(spareBytes(), 0, "its loan had ended")
    giveBack(second)
    giveBack(second)
    assert.strictEqual(spareBytes(), block(16 * KiB))
  })

  it("is one for all connections with the same primitives, and lends to those with others what these gave back", () => {
    const { bytes, primitives } = counting()
    assert.strictEqual(lentMemoryOf(primitives), lentMemoryOf(primitives))
    giveBack(lentMemoryOf(primitives).allocate(5 * KiB))
    giveBack(lent.allocate(5 * KiB))
    assert.deepStrictEqual([bytes(), spareBytes()], [block(5 * KiB), block(5 * KiB)])
  })

  it.prop("takes at most a quarter more than is asked for, in few sizes", { sizes: Arbitrary.array(Arbitrary.schema(size)) }, ({ sizes }) => {
    for (const size of sizes) {
      const array = lent.allocate(size)
      const whole = array.buffer.byteLength - block(0)
      assert.isAtLeast(whole, size)
      assert.isBelow(whole, size * 1.25)
      assert.strictEqual(whole % 2 ** (Math.floor(Math.log2(whole)) - 2), 0)
      assert.deepStrictEqual([array.length, array.byteOffset], [size, block(0)])
    }
  })

  it("lends neither what is small nor what is too large to keep some", () => {
    for (const size of [0, 1, 2 * KiB - 1, maxSpare / 2 + 1]) {
      const array = lent.allocate(size)
      assert.strictEqual(array.buffer.byteLength, size)
      giveBack(array)
      assert.isUndefined(endLoan(array))
    }
    for (const size of [2 * KiB, maxSpare / 2]) giveBack(lent.allocate(size))
    assert.strictEqual(spareBytes(), block(maxSpare / 2) + block(2 * KiB))
  })

  it("lends no part of memory that others have parts of", () => {
    const slab = new ArrayBuffer(MiB)
    const memory = lentMemoryOf({ ...portable, allocate: (size) => new Uint8Array(slab, 100, size) })
    const array = memory.allocate(5000)
    assert.deepStrictEqual([array.buffer, array.byteOffset, array.length], [slab, 100, 5000])
    giveBack(array)
    assert.strictEqual(spareBytes(), 0)
  })

  it("does not take back what is not its own", () => {
    const array = new Uint8Array(16 * KiB)
    giveBack(array)
    assert.isUndefined(endLoan(array))
    assert.isUndefined(shortened(array, 10))
    assert.strictEqual(spareBytes(), 0)
  })

  it("ends a loan before the memory is given back", () => {
    const array = lent.allocate(16 * KiB)
    const ended = endLoan(array)!
    assert.strictEqual(ended.memory, array.buffer)
    assert.isUndefined(endLoan(array))
    giveBack(array)
    assert.strictEqual(spareBytes(), 0)
    put(ended)
    assert.strictEqual(lent.allocate(16 * KiB).buffer, array.buffer)
  })

  it("has room for a header in front of what it lent", () => {
    const array = lent.allocate(3000).fill(7)
    const ended = endLoan(array)!
    for (const size of [0, 4, 14]) {
      const frame = withHeader(ended, array, size)
      assert.deepStrictEqual([frame.length, frame.subarray(size)], [3000 + size, array])
      assert.strictEqual(frame.buffer, array.buffer)
    }
  })

  it("passes a loan on to the beginning of an array", () => {
    const array = lent.allocate(4 * KiB)
    array.set([1, 2, 3])
    const short = shortened(array, 2 * KiB)!
    assert.deepStrictEqual([short.buffer, short.length, [...short.subarray(0, 3)]], [array.buffer, 2 * KiB, [1, 2, 3]])
    giveBack(array)
    assert.strictEqual(spareBytes(), 0)
    assert.isUndefined(shortened(array, 10))
    giveBack(short)
    assert.strictEqual(spareBytes(), block(4 * KiB))
  })

  it("gives a program memory of its own, and never what has another borrower", () => {
    const own = new Uint8Array(5000)
    assert.strictEqual(ownOf(own, portable), own)
    const small = new Uint8Array(10)
    assert.strictEqual(ownOf(small, portable), small)
    const array = lent.allocate(5000).fill(7)
    const copy = ownOf(array, portable)!
    assert.deepStrictEqual([copy, copy.buffer.byteLength], [new Uint8Array(5000).fill(7), 5000])
    const part = ownOf(array, portable, 3)!
    assert.deepStrictEqual([part.length, [...part.subarray(0, 5)]], [5000, [7, 7, 7, 0, 0]])
    // It may be about to be sent.
    assert.strictEqual(spareBytes(), 0)
    giveBack(array)
    assert.isUndefined(ownOf(array, portable))
    lent.allocate(5000).fill(9)
    assert.isUndefined(ownOf(array, portable))
    assert.deepStrictEqual(copy, new Uint8Array(5000).fill(7))
  })
})
