import { assert, describe, it } from "@effect/vitest"
import { run } from "./support.ts"

describe("typed-service", { timeout: 60_000 }, () => {
  it("answers requests, failures and what is no request", async () => {
    const program = run("typed-service.ts")
    assert.deepStrictEqual(await program.exited, { code: 0, signal: null })
    const [sum, quotient, failed, notUnderstood, ...rest] = program.output().trimEnd().split("\n")
    assert.deepStrictEqual([sum, quotient, failed], ["1: 5", "2: 0.25", "3: failed, 1 divided by zero"])
    assert.match(notUnderstood, /^not understood: Expected .*"Add"/)
    assert.deepStrictEqual(rest, [])
  })
})
