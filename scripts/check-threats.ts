/** Checks THREAT_MODEL.md against the tests: each test that it names exists, and every row names one. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./lib/commands.ts"

interface Fault {
  readonly line: number
  readonly what: string
}

type Read = (file: string) => string | undefined

// `packages/core/test/Some.test.ts`: "the test's name", where the name is what stands between the quotes in the source.
const named = /`([^`]+\.test\.ts)`: "((?:[^"\\]|\\.)+)"/g
const separator = /^\|[-| ]+\|$/

const isTitle = (source: string, name: string): boolean =>
  ["\"", "`", "'"].some((quote) => source.includes(`${quote}${name}${quote}`))

/** What is wrong with the tables of a document: a row without a test, a file or a name that does not exist. */
const faultsOf = (document: string, read: Read): ReadonlyArray<Fault> => {
  const faults: Array<Fault> = []
  let inTable = false
  for (const [index, line] of document.split("\n").entries()) {
    if (separator.test(line)) inTable = true
    else if (!line.startsWith("|")) inTable = false
    else if (inTable && line.split("|").length - 2 > 2) {
      const tests = [...line.matchAll(named)]
      if (tests.length === 0) faults.push({ line: index + 1, what: "names no test" })
      for (const [, file, name] of tests) {
        const source = read(file!)
        if (source === undefined) faults.push({ line: index + 1, what: `${file} does not exist` })
        else if (!isTitle(source, name!)) faults.push({ line: index + 1, what: `${file} has no test "${name}"` })
      }
    }
  }
  return faults
}

// A check that never fires proves nothing: it is first shown what is wrong, and what is right.
const sample = (cell: string) => `| a | b | c |\n|---|---|---|\n| x | y | ${cell} |\n`
const samples: ReadonlyArray<readonly [string, number]> = [
  [sample("`a.test.ts`: \"does it\""), 0],
  [sample("`a.test.ts`: \"does\""), 1],
  [sample("`b.test.ts`: \"does it\""), 1],
  [sample("a.test.ts does it"), 1],
  [sample("`a.test.ts`: \"does it\"<br>`a.test.ts`: \"is gone\""), 1]
]
for (const [document, expected] of samples) {
  const found = faultsOf(document, (file) => file === "a.test.ts" ? "it(\"does it\", () => {})" : undefined)
  if (found.length !== expected) throw new Error(`the check of THREAT_MODEL.md is blind: ${document}`)
}

const file = "THREAT_MODEL.md"
const document = readFileSync(join(root, file), "utf8")
const read: Read = (path) => existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : undefined
const faults = faultsOf(document, read)
for (const { line, what } of faults) console.error(`${file}:${line}: ${what}`)
const tests = [...document.matchAll(named)].length
if (tests === 0) console.error(`${file}: names no test at all`)
if (faults.length > 0 || tests === 0) process.exitCode = 1
else console.log(`threats: the ${tests} tests that ${file} names exist`)
