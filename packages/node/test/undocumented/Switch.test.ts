/** The environment variable that turns off what Node does not document; NodeTuning.test.ts proves that it does. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { isPortable } from "../../src/undocumented/Switch.ts"

const file = JSON.stringify(new URL("../../src/undocumented/Switch.ts", import.meta.url))

const withVariable = (value: string | undefined): string =>
  execFileSync(process.execPath, ["--input-type=module", "-e", `console.log((await import(${file})).isPortable)`], {
    encoding: "utf8",
    env: { ...process.env, EFFECT_WS_PORTABLE: value }
  }).trim()

// Node takes a second to start, and many on a machine that has other things to do.
describe("Switch", { timeout: 60_000 }, () => {
  it("is on for 1, and off otherwise", () => {
    assert.strictEqual(isPortable, process.env["EFFECT_WS_PORTABLE"] === "1")
    assert.strictEqual(withVariable("1"), "true")
    for (const value of [undefined, "", "0"]) assert.strictEqual(withVariable(value), "false")
  })
})
