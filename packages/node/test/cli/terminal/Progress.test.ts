import { assert, describe, it } from "@effect/vitest"
import { bar, make } from "../../../src/cli/terminal/Progress.ts"
import { plain } from "../../../src/cli/terminal/Style.ts"
import { render } from "../../../src/cli/terminal/Table.ts"

const stream = (isTTY: boolean) => {
  const written: Array<string> = []
  return { written, isTTY, columns: 40, write: (text: string) => void written.push(text) }
}

describe("Progress", () => {
  it("draws a bar in eighths of a column", () => {
    assert.deepStrictEqual([0, 0.5, 0.53, 1, 2].map((part) => bar(part, 4)), ["    ", "██  ", "██  ", "████", "████"])
    assert.strictEqual(bar(0.5625, 4), "██▎ ")
  })

  it("redraws a line of a terminal, writes lines above it and takes it away", () => {
    const out = stream(true)
    const progress = make(out, plain)
    progress.show(0.5, "a text that is too long for forty columns")
    progress.line("something to keep")
    progress.show(0.6, "too soon after the first")
    progress.end()
    assert.deepStrictEqual(out.written, [
      "\r\u001B[K████████████             a text that…",
      "\r\u001B[K",
      "something to keep\n"
    ])
  })

  it("leaves out everything but the lines where there is no terminal", () => {
    const out = stream(false)
    const progress = make(out, plain)
    progress.show(0.5, "half")
    progress.line("something to keep")
    progress.end()
    assert.deepStrictEqual(out.written, ["something to keep\n"])
  })
})

describe("Table", () => {
  it("aligns columns", () => {
    assert.strictEqual(
      render(["name", "n"], [["日本", "1"], ["a", "100"]], plain),
      "name    n\n日本    1\na     100"
    )
  })
})
