/** Which versions of Node are too old. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { complaintAbout } from "../../src/transport/NodeVersion.ts"

describe("NodeVersion", () => {
  it("refuses what the package's engines exclude, in words that help", () => {
    const { engines } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      readonly engines: { readonly node: string }
    }
    assert.strictEqual(engines.node, ">=22.19.0")
    for (const node of ["18.20.8", "20.20.2", "21.9.0", "22.0.0", "22.18.9"]) {
      const complaint = complaintAbout({ node })
      assert.include(complaint, "needs Node 22.19 or later")
      assert.include(complaint, `this is Node ${node}`)
    }
    for (const node of ["22.19.0", "22.20.1", "23.0.0", "24.21.0", "26.10.0", "100.0.0"]) assert.isUndefined(complaintAbout({ node }))
  })

  it("does not judge other runtimes", () => {
    assert.isUndefined(complaintAbout({ node: "20.0.0", bun: "1.0.0" }))
    assert.isUndefined(complaintAbout({ node: "20.0.0", deno: "2.0.0" }))
  })
})
