/** The memory of messages that are gone is free again before V8 walks through its whole heap for it. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"

interface Counts {
  readonly minor: number
  readonly major: number
  readonly size: number
  readonly exposed: string
}

const allocating = (options: ReadonlyArray<string>, ...args: ReadonlyArray<string>): Counts =>
  JSON.parse(execFileSync(
    process.execPath,
    [...options, `${import.meta.dirname}/../support/allocating.ts`, ...args],
    { encoding: "utf8" }
  )) as Counts

// Node takes a second to start, and many on a machine that has other things to do.
describe("YoungCollections", { timeout: 120_000 }, () => {
  it("collects young messages alone, and exposes nothing to the program", () => {
    const { exposed, major, minor } = allocating([])
    assert.isAtLeast(minor, 15)
    // The modules that were loaded may end one that had begun.
    assert.isAtMost(major, 2)
    assert.strictEqual(exposed, "undefined")
  })

  it("uses the function that the program exposed", () => {
    const { exposed, major } = allocating(["--expose-gc"], "withoutFlags")
    assert.isAtMost(major, 2)
    assert.strictEqual(exposed, "function")
  })

  it("leaves all to V8 where the function is not to be had", () => {
    const { exposed, minor, size } = allocating([], "withoutFlags")
    assert.isBelow(minor, 12)
    assert.strictEqual(size, 16 * 1024)
    assert.strictEqual(exposed, "undefined")
  })

  it("collects as connections become more than ever, or than after a quiet time, and not where they come and go", () => {
    const script = `${import.meta.dirname}/../support/growing.ts`
    const seen = JSON.parse(execFileSync(process.execPath, [script], { encoding: "utf8" })) as ReadonlyArray<number>
    assert.deepStrictEqual(seen, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5])
  })
})
