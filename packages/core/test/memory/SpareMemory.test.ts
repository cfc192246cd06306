import { assert, beforeEach, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import { TestClock } from "effect/testing"
import { Block, freeUnused, maxSpare, put, restMillis, spareBytes, take, watch } from "../../src/memory/SpareMemory.ts"
import * as Deadlines from "../../src/runtime/Deadlines.ts"

const KiB = 1024
const MiB = 1024 * KiB

const block = (size: number) => new Block(new ArrayBuffer(size), new Uint8Array(0))

const isFreed = ({ memory }: Block) => memory.byteLength === 0

describe("SpareMemory", () => {
  beforeEach(() => {
    freeUnused()
    freeUnused()
    assert.strictEqual(spareBytes(), 0)
  })

  it("keeps what is put for what needs as much, the latest first", () => {
    const [a, b, other] = [block(4 * KiB), block(4 * KiB), block(8 * KiB)]
    for (const one of [a, b, other]) put(one)
    assert.strictEqual(spareBytes(), 16 * KiB)
    assert.isUndefined(take(5 * KiB))
    assert.strictEqual(take(4 * KiB), b)
    assert.strictEqual(take(8 * KiB), other)
    assert.strictEqual(take(4 * KiB), a)
    assert.isUndefined(take(4 * KiB))
    assert.strictEqual(spareBytes(), 0)
  })

  it("keeps no more than its bound: what was not asked for the longest is freed", () => {
    const large = Array.from({ length: 15 }, () => block(2 * MiB))
    const small = Array.from({ length: 2 }, () => block(MiB))
    for (const one of [...small, ...large]) put(one)
    assert.strictEqual(spareBytes(), maxSpare)
    // The large ones are now those that were not asked for.
    put(take(MiB)!)
    put(block(MiB))
    assert.strictEqual(spareBytes(), maxSpare - MiB)
    assert.deepStrictEqual(small.filter(isFreed), [])
    assert.strictEqual(large.filter(isFreed).length, 1)
    put(block(16 * MiB))
    assert.strictEqual(spareBytes(), maxSpare - MiB)
    assert.deepStrictEqual([large.filter(isFreed).length, small.filter(isFreed).length], [9, 0])
    // All of one size makes room for another.
    put(block(maxSpare))
    assert.strictEqual(spareBytes(), maxSpare)
    assert.deepStrictEqual([large.filter(isFreed).length, small.filter(isFreed).length], [15, 2])
    assert.isUndefined(take(MiB))
    assert.isDefined(take(maxSpare))
  })

  it("frees no more than it must", () => {
    const all = Array.from({ length: 33 }, () => block(MiB))
    for (const one of all) put(one)
    assert.strictEqual(spareBytes(), maxSpare)
    assert.strictEqual(all.filter(isFreed).length, 1)
    assert.strictEqual(take(MiB), all[32])
  })

  it("frees as many as were not needed since the last look", () => {
    const all = Array.from({ length: 4 }, () => block(4 * KiB))
    for (const one of all) put(one)
    freeUnused()
    assert.deepStrictEqual(all.filter(isFreed), [], "they were needed before")
    const [a, b] = [take(4 * KiB)!, take(4 * KiB)!]
    put(a)
    put(b)
    put(take(4 * KiB)!)
    freeUnused()
    assert.deepStrictEqual(all.map(isFreed), [true, true, false, false])
    assert.strictEqual(spareBytes(), 8 * KiB)
    freeUnused()
    assert.deepStrictEqual([all.filter(isFreed).length, spareBytes()], [4, 0])
  })

  it("leaves what it does not need to the collector where memory cannot be freed", () => {
    const old = block(4 * KiB)
    Object.defineProperty(old.memory, "transfer", { value: undefined })
    put(old)
    freeUnused()
    freeUnused()
    assert.strictEqual(spareBytes(), 0)
    assert.isUndefined(take(4 * KiB))
  })

  it.effect("keeps nothing in a process that rests, and does not keep that process", () =>
    Effect.gen(function*() {
      const deadlines = yield* Deadlines.current
      const alarms = () => deadlines["heap"].length
      watch(deadlines)
      assert.strictEqual(alarms(), 0, "there is nothing to free")
      const [used, unused] = [block(4 * KiB), block(4 * KiB)]
      put(used)
      put(unused)
      watch(deadlines)
      watch(deadlines)
      assert.strictEqual(alarms(), 1)
      assert.isTrue(deadlines["heap"][0].isBackground)
      yield* TestClock.adjust(restMillis)
      for (let i = 0; i < 3; i++) {
        put(take(4 * KiB)!)
        yield* TestClock.adjust(restMillis)
      }
      assert.deepStrictEqual([used, unused].map(isFreed), [true, false])
      yield* TestClock.adjust(restMillis)
      assert.isTrue(isFreed(unused))
      assert.deepStrictEqual([spareBytes(), alarms()], [0, 0])
      put(block(4 * KiB))
      watch(deadlines)
      // Connections on another Clock.
      const other = new Deadlines.Deadlines(deadlines["clock"], yield* Scheduler.Scheduler)
      for (let i = 0; i < 3; i++) for (const one of [other, deadlines]) watch(one)
      assert.deepStrictEqual([alarms(), other["heap"].length], [1, 1])
      yield* TestClock.adjust(2 * restMillis)
      assert.deepStrictEqual([spareBytes(), alarms(), other["heap"].length], [0, 0, 0])
    }))
})
