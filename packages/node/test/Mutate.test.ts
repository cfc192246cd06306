/** `npm run mutate`: which changes it makes, and when it believes a test that fails. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { root } from "../../../scripts/lib/commands.ts"
import { equivalents } from "../../../scripts/mutate/equivalent.ts"
import { mutantsOf } from "../../../scripts/mutate/mutants.ts"
import { Runner } from "../../../scripts/mutate/Runner.ts"

const folder = mkdtempSync(join(tmpdir(), "effect-ws-mutate-"))
afterAll(() => rmSync(folder, { recursive: true }))

const test = join(root, "a.test.ts")
const usual = { total: 0, slowest: 0 }

/** A worker that gives these answers, one after the other, and tells at last what it was asked. */
const scripted = async (
  answers: ReadonlyArray<"passes" | "fails" | "is slow">,
  use: (runner: Runner) => Promise<unknown>
): Promise<ReadonlyArray<string>> => {
  const program = join(folder, "worker.mjs")
  writeFileSync(program, `
    const answers = ${JSON.stringify(answers)}
    const asked = []
    process.on("message", (task) => {
      asked.push(task.source === undefined ? "without" : "with")
      const answer = answers.shift()
      const failed = answer === "passes" ? [] : answer === undefined ? asked : ["a.test.ts"]
      process.send({ failed, error: undefined, isTime: answer === "is slow", slowest: 7 })
    })
    process.on("disconnect", () => process.exit())
    process.send("ready")
  `)
  const runner = new Runner(program, process.execPath)
  try {
    const result = await use(runner)
    const { failed } = await runner["ask"]({ file: "a.ts", source: "", tests: [], testTimeout: 1 }, 60_000) ?? { failed: [] }
    return [String(result), ...failed.slice(0, -1)]
  } finally {
    runner.close()
  }
}

const mutant = (runner: Runner) => runner.run("a.ts", "mutant", [test], usual)

describe("npm run mutate", { timeout: 60_000 }, () => {
  it("lists no change as equivalent to a line that is no more", () => {
    const sources = new Map<string, ReadonlyArray<string>>()
    const linesOf = (file: string): ReadonlyArray<string> => {
      const known = sources.get(file) ?? (existsSync(join(root, file)) ? readFileSync(join(root, file), "utf8").split("\n") : [])
      sources.set(file, known)
      return known
    }
    const lost = equivalents.filter(({ file, line }) => !linesOf(file).some((text) => text.includes(line)))
    assert.deepStrictEqual(lost.map(({ file, line }) => `${file}: ${line}`), [])
  })

  it("changes operators, tests, numbers and statements, and neither types nor texts", () => {
    const source = `export const f = (a: 1 | 2, b: string): number => {\n  if (a < 2) g("x" + b)\n  return a + 1\n}\n`
    const mutants = mutantsOf(source).map(({ end, line, replacement, start }) => `${line} ${source.slice(start, end)} -> ${replacement}`)
    assert.deepStrictEqual(mutants, [
      "2 a < 2 -> true",
      "2 a < 2 -> false",
      "2 < -> <=",
      "2 < -> >=",
      "2 2 -> 3",
      `2 g("x" + b) -> void 0`,
      "3 + -> -",
      "3 1 -> 2"
    ])
  })

  it("believes a test that fails twice", async () => {
    assert.deepStrictEqual(await scripted(["fails", "fails"], mutant), ["failed", "with", "with"])
  })

  it("does not believe one that fails once", async () => {
    assert.deepStrictEqual(await scripted(["fails", "passes", "passes"], mutant), ["passed", "with", "with", "with"])
  })

  it("believes a test that takes too long where it does not without the mutant", async () => {
    assert.deepStrictEqual(await scripted(["is slow", "passes"], mutant), ["timed out", "with", "without"])
  })

  it("is more patient where all takes too long, and then counts nothing", async () => {
    assert.deepStrictEqual(await scripted(["is slow", "is slow", "passes"], mutant), ["passed", "with", "without", "with"])
    assert.deepStrictEqual(
      await scripted(["is slow", "fails", "is slow", "fails", "is slow", "fails"], mutant),
      ["passed", "with", "without", "with", "without", "with", "without"]
    )
  })

  it("measures tests that pass, at the second attempt too", async () => {
    const measure = async (runner: Runner) => (await runner.measure("a.ts", [test]))?.slowest
    assert.deepStrictEqual(await scripted(["passes"], measure), ["7", "without"])
    assert.deepStrictEqual(await scripted(["is slow", "passes"], measure), ["7", "without", "without"])
  })
})
