/** The table of the differences, as docs/runtimes.md shows it. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "../lib/commands.ts"
import { type Difference, differences } from "./differences.ts"
import { versions } from "./installed.ts"
import { suites } from "./suites.ts"

const document = join(root, "docs/runtimes.md")
const begin = "<!-- test:runtimes writes from here -->"
const end = "<!-- to here -->"

const concerns = ({ file }: Difference, tests: ReadonlyArray<string>) =>
  tests.some((test) => file.startsWith(test) || test.startsWith(file))

const cell = (on: Difference["on"], tests: ReadonlyArray<string>) => {
  const numbers = differences.flatMap((difference, i) => difference.on === on && concerns(difference, tests) ? [noteOf(i)] : [])
  return numbers.length === 0 ? "all pass" : `all but ${[...new Set(numbers)].toSorted((a, b) => a - b).join(", ")}`
}

/** What holds for both has one note. */
const whys = [...new Set(differences.map(({ why }) => why))]
const noteOf = (i: number) => whys.indexOf(differences[i]!.why) + 1

const table = (): string =>
  [
    begin,
    "",
    `| tests | Bun ${versions.bun} | Deno ${versions.deno} |`,
    "|---|---|---|",
    ...suites.map(({ name, tests }) => `| ${name} | ${cell("bun", tests)} | ${cell("deno", tests)} |`),
    "",
    ...whys.map((why, i) => `${i + 1}. ${why}.`),
    "",
    end
  ].join("\n")

const around = (): readonly [before: string, written: string, after: string] => {
  const text = readFileSync(document, "utf8")
  const from = text.indexOf(begin)
  const to = text.indexOf(end) + end.length
  if (from < 0 || to < from) throw new Error("docs/runtimes.md has no place for the table")
  return [text.slice(0, from), text.slice(from, to), text.slice(to)]
}

export const isDocumented = (): boolean => around()[1] === table()

export const writeTable = (): void => {
  const [before, , after] = around()
  writeFileSync(document, before + table() + after)
}
