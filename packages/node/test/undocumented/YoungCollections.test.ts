/** The memory of messages that are gone is free again before V8 walks through its whole heap for it, where a program asks. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as YoungCollections from "../../src/undocumented/YoungCollections.ts"

interface Counts {
  readonly minor: number
  readonly major: number
  readonly size: number
  readonly exposed: string
}

/** Runs a program of ours, whatever this process was started with. */
const run = <A>(file: string, options: ReadonlyArray<string> = [], portable = "", ...args: ReadonlyArray<string>): A =>
  JSON.parse(execFileSync(
    process.execPath,
    [...options, `${import.meta.dirname}/../support/${file}`, ...args],
    { encoding: "utf8", env: { ...process.env, EFFECT_WS_PORTABLE: portable } }
  )) as A

// Node takes a second to start, and many on a machine that has other things to do.
describe("YoungCollections", { timeout: 120_000 }, () => {
  it("collects young messages alone, and exposes nothing to the program", () => {
    const { exposed, major, minor } = run<Counts>("allocating.ts")
    assert.isAtLeast(minor, 15)
    // The modules that were loaded may end one that had begun.
    assert.isAtMost(major, 2)
    assert.strictEqual(exposed, "undefined")
  })

  it("uses the function that the program exposed", () => {
    const { exposed, major } = run<Counts>("allocating.ts", ["--expose-gc"], "", "withoutFlags")
    assert.isAtMost(major, 2)
    assert.strictEqual(exposed, "function")
  })

  for (const [how, portable, arg] of [
    ["nobody asks", "", "off"],
    ["the function is not to be had", "", "withoutFlags"],
    ["documented interfaces are asked for", "1", "on"]
  ] as const) {
    it(`leaves all to V8 where ${how}`, () => {
      const { exposed, minor, size } = run<Counts>("allocating.ts", [], portable, arg)
      assert.isBelow(minor, 12)
      assert.strictEqual(size, 16 * 1024)
      assert.strictEqual(exposed, "undefined")
    })
  }

  it("collects as connections become more than ever, or than after a quiet time, and not where they come and go", () => {
    const seen = run<ReadonlyArray<number>>("growing.ts")
    assert.deepStrictEqual(seen, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5])
  })

  it("takes no function that does not collect", () => {
    assert.isFalse(YoungCollections.works(() => {}))
    assert.isFalse(YoungCollections.works(() => {
      throw new Error("another function")
    }))
  })
})
