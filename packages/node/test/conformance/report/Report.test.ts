import { assert, describe, it } from "@effect/vitest"
import * as Html from "../../../src/conformance/report/Html.ts"
import * as Markdown from "../../../src/conformance/report/Markdown.ts"
import { type Agent, count, findings, fromJson, merge, showIds, toJson } from "../../../src/conformance/report/Report.ts"
import type { Result } from "../../../src/conformance/Runner.ts"
import { allCases, allGroups } from "../../../src/conformance/Selection.ts"

const ok = (id: string): Result => ({
  id,
  verdict: "OK",
  behaviour: "OK",
  closeBehaviour: "OK",
  code: 1000,
  ms: 3,
  message: ""
})
const agent = (name: string, ...wrong: ReadonlyArray<Result>): Agent => ({
  name,
  results: new Map([...allCases.map(({ id }) => ok(id)), ...wrong].map((result) => [result.id, result]))
})
const failed = (id: string, message: string): Result => ({
  ...ok(id),
  verdict: "FAILED",
  behaviour: "FAILED",
  closeBehaviour: "UNCLEAN",
  code: undefined,
  message
})
const wrong = agent("wrong | <b>", failed("3.1", "got 1"), failed("3.2", "got 22"), {
  ...ok("6.4.1"),
  verdict: "NON-STRICT",
  behaviour: "NON-STRICT",
  message: "late"
})
const right = agent("right")

describe("Report", () => {
  it("counts and gathers", () => {
    assert.deepStrictEqual(count(wrong.results.values()), {
      OK: 545,
      INFORMATIONAL: 0,
      "NON-STRICT": 1,
      UNIMPLEMENTED: 0,
      FAILED: 2
    })
    assert.deepStrictEqual(findings(wrong, allGroups), [
      { verdict: "FAILED", ids: ["3.1", "3.2"], message: "got 1" },
      { verdict: "NON-STRICT", ids: ["6.4.1"], message: "late" }
    ])
    assert.strictEqual(showIds(["1", "2", "3", "4", "5", "6"]), "1 … 6 (6 cases)")
  })

  it("is written as JSON in Autobahn's shape, and read again", () => {
    const text = toJson([wrong, right], () => "about")
    const parsed = JSON.parse(text)
    assert.deepInclude(parsed["right"]["1.1.1"], {
      behavior: "OK",
      behaviorClose: "OK",
      duration: 3,
      remoteCloseCode: 1000,
      description: "about"
    })
    assert.strictEqual(parsed[wrong.name]["3.1"].remoteCloseCode, null)
    assert.deepStrictEqual(fromJson(text), [wrong, right])
    for (const other of ["[]", "1", "{\"a\":1}", "{\"a\":{\"1.1.1\":{}}}", "{"]) assert.throws(() => fromJson(other))
  })

  it("keeps other agents of an earlier report", () => {
    const newer = agent("right", failed("1.1.1", "now"))
    assert.deepStrictEqual(merge([wrong, right], [newer]), [wrong, newer])
    assert.deepStrictEqual(merge([wrong], [newer]), [wrong, newer])
  })

  it("is a table in Markdown, and a list of what is wrong", () => {
    const lines = Markdown.render([right, wrong], allGroups).split("\n")
    assert.include(lines, "| group | cases | right | wrong \\| <b> |")
    assert.include(lines, "| 3 Reserved bits | 7 | 7 | 5, **2 failed** |")
    assert.include(lines, "| 6 UTF-8 | 145 | 145 | 144, 1 non-strict |")
    assert.include(lines, "- 3.1, 3.2: failed; got 1")
  })

  it("is a page with a row for every case, and nothing of it is markup of the peer", () => {
    const page = Html.render([right, wrong], allGroups, new Date(0))
    for (const { id } of allCases) assert.include(page, `<tr id="${id}">`)
    assert.include(page, "wrong | &lt;b&gt;")
    assert.notInclude(page, "<b>")
    assert.include(page, "<span class=\"bad\">Fail</span><small>no close code, 3 ms, got 1</small>")
    assert.include(page, "1970-01-01 00:00 UTC")
  })
})
