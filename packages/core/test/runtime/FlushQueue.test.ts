import { assert, describe, it } from "@effect/vitest"
import { flushSoon, type Flushable } from "../../src/runtime/FlushQueue.ts"

const recorder = (flushed: Array<string>, name: string, then?: () => void): Flushable => ({
  flushNow: () => {
    flushed.push(name)
    then?.()
  }
})

describe("Flushable", () => {
  it("flushes all, in order, once the run of JavaScript ends", async () => {
    const flushed: Array<string> = []
    for (const name of ["a", "b", "c"]) flushSoon(recorder(flushed, name))
    assert.deepStrictEqual(flushed, [])
    await Promise.resolve()
    assert.deepStrictEqual(flushed, ["a", "b", "c"])
  })

  it("does not forget who asks for it while others are flushed", async () => {
    const flushed: Array<string> = []
    const late = recorder(flushed, "late")
    flushSoon(recorder(flushed, "a", () => flushSoon(late)))
    flushSoon(recorder(flushed, "b"))
    for (let turn = 0; turn < 3; turn++) await Promise.resolve()
    assert.deepStrictEqual(flushed, ["a", "b", "late"])
  })

  it("flushes one that asks again in each run of JavaScript", async () => {
    const flushed: Array<string> = []
    const one = recorder(flushed, "one")
    for (let run = 1; run <= 3; run++) {
      flushSoon(one)
      await Promise.resolve()
      assert.strictEqual(flushed.length, run)
    }
  })
})
