import { assert, describe, it } from "@effect/vitest"
import { flushSoon, type Flushable } from "../../src/runtime/FlushQueue.ts"

const recorder = (flushed: Array<string>, name: string, then?: () => void): Flushable => ({
  flushNow: () => {
    flushed.push(name)
    then?.()
  },
  nextTurn: (task) => void setTimeout(task)
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

  it("lets a fan-out wait for the next turn, and nobody else", async () => {
    const flushed: Array<string> = []
    const members = Array.from({ length: 100 }, (_, i) => recorder(flushed, `member ${i}`))
    for (const member of members) flushSoon(member)
    await Promise.resolve()
    assert.deepStrictEqual(flushed, [])
    // Someone else, who answers meanwhile.
    flushSoon(recorder(flushed, "else"))
    await Promise.resolve()
    assert.deepStrictEqual(flushed, ["else"])
    await new Promise((resolve) => setTimeout(resolve, 5))
    assert.deepStrictEqual(flushed.slice(1), members.map((_, i) => `member ${i}`))
  })
})
