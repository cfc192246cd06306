/**
 * Checks the documents: every link between them leads to a file and to a heading that exist, every source file that they
 * name exists, every page of `docs/` is listed in its index, and the pages that list rules, limits and variables list all
 * of them.
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import { basename, dirname, join, normalize } from "node:path"
import { handshakeRules } from "../packages/core/src/http/Refusal.ts"
import { defaults } from "../packages/core/src/Limits.ts"
import { rules } from "../packages/core/src/protocol/Violation.ts"
import { root } from "./lib/commands.ts"
import { anchorsOf, linksOf, rowsOf } from "./lib/markdown.ts"

interface Fault {
  readonly file: string
  readonly line?: number
  readonly what: string
}

interface Sources {
  readonly exists: (file: string) => boolean
  readonly read: (file: string) => string
}

const isExternal = (target: string): boolean => /^[a-z][a-z+.-]*:/i.test(target)

/** The dead links of a document. */
const deadLinks = (file: string, text: string, { exists, read }: Sources): ReadonlyArray<Fault> =>
  linksOf(text).filter(({ target }) => !isExternal(target)).flatMap(({ line, target }) => {
    const [path = "", anchor] = target.split("#", 2)
    const found = path === "" ? file : normalize(join(dirname(file), path)).replaceAll("\\", "/")
    if (path.startsWith("/")) return [{ file, line, what: `${target} is absolute; write it relative to the document` }]
    if (path !== "" && !exists(found)) return [{ file, line, what: `${target} does not exist` }]
    if (anchor === undefined || !found.endsWith(".md") || anchorsOf(path === "" ? text : read(found)).has(anchor)) return []
    return [{ file, line, what: `${target}: the document has no heading #${anchor}` }]
  })

/** The source files that a document names by their folder, such as `protocol/Inbound.ts`, and that do not exist. */
const missingSources = (file: string, text: string, sources: ReadonlyArray<string>): ReadonlyArray<Fault> =>
  text.split("\n").flatMap((line, index) =>
    [...line.matchAll(/`([\w.-]+(?:\/[\w.-]+)+\.(?:ts|mjs|wat))`/g)]
      .filter(([, name]) => !sources.some((source) => source === name || source.endsWith(`/${name}`)))
      .map(([, name]) => ({ file, line: index + 1, what: `there is no ${name}` }))
  )

/** The pages of a folder that its index does not link to. */
const unlisted = (index: string, text: string, pages: ReadonlyArray<string>): ReadonlyArray<Fault> => {
  const listed = new Set(linksOf(text).map(({ target }) => normalize(join(dirname(index), target.split("#", 1)[0]!))))
  return pages.filter((page) => page !== index && !listed.has(page)).map((page) => ({
    file: index,
    what: `does not list ${page}`
  }))
}

/** The names without a row on a page. A row must hold each of `details`. */
const missingRows = (
  file: string,
  text: string,
  wanted: ReadonlyArray<readonly [name: string, ...details: ReadonlyArray<string>]>
): ReadonlyArray<Fault> => {
  const rows = rowsOf(text)
  return wanted.flatMap(([name, ...details]) => {
    const row = rows.find((cells) => cells.some((cell) => cell.split(/[`,: {}]+/).includes(name)))
    if (row === undefined) return [{ file, what: `has no row for ${name}` }]
    const absent = details.filter((detail) => !row.some((cell) => cell.includes(detail)))
    return absent.map((detail) => ({ file, what: `the row of ${name} does not say ${detail}` }))
  })
}

// A check that never fires proves nothing: it is first shown what is wrong, and what is right.
const sample: Sources = { exists: (file) => file === "docs/a.md", read: () => "# One\n\n## Two words\n" }
const samples: ReadonlyArray<readonly [string, number]> = [
  ["[a](a.md), ![a](./a.md#one \"title\"), [b](#here), [c](https://example.org/x)\n\n# Here\n", 0],
  ["[a](b.md)", 1],
  ["[a](a.md#three) [a](a.md#two-words)", 1],
  ["[a](#nowhere)", 1],
  ["`[a](b.md)`\n\n```md\n[a](b.md)\n```\n", 0],
  ["[![image](b.svg)](a.md)", 1],
  ["[a](/docs/a.md)", 1]
]
const blind = samples.some(([text, count]) => deadLinks("docs/b.md", text, sample).length !== count) ||
  unlisted("docs/README.md", "[a](a.md#one)", ["docs/README.md", "docs/a.md", "docs/b.md"]).length !== 1 ||
  missingSources("a.md", "`a/B.ts`, `b/B.ts`, `B.ts`, a/C.ts", ["src/a/B.ts"]).length !== 1 ||
  missingRows("a.md", "| `One` | 1002 | §5 |\n| `two: { x }` | |\n", [["One", "1002"], ["One", "1003"], ["two"], ["Three"]])
      .length !== 2
if (blind) throw new Error("the check of the documents is blind")

const files = globSync(["*.md", "{docs,examples,benchmark,soak}/**/*.md", "packages/*/*.md"], {
  cwd: root,
  exclude: (name) => name.includes("node_modules")
}).map((file) => file.replaceAll("\\", "/")).toSorted()
const sources: Sources = {
  exists: (file) => existsSync(join(root, file)),
  read: (file) => readFileSync(join(root, file), "utf8")
}
const index = "docs/README.md"
const pages = files.filter((file) => file.startsWith("docs/"))
const folders = globSync("packages/core/src/*/", { cwd: root }).map((folder) => [`${basename(folder)}/`] as const)
// The functions of that module by which a variable is read.
const configuration = [
  ...sources.read("packages/core/src/WebSocketConfig.ts").matchAll(/\b(?:size|integer|duration|boolean|oneOf|list)\("([A-Z_]+)"/g)
].map(([, name]) => [name!] as const)

const programs = globSync("{packages,examples,benchmark,soak,scripts,website}/**/*.{ts,mjs,wat}", {
  cwd: root,
  exclude: (name) => name.endsWith("node_modules") || name.endsWith("dist")
}).map((file) => file.replaceAll("\\", "/"))

const faults: ReadonlyArray<Fault> = [
  ...files.flatMap((file) => deadLinks(file, sources.read(file), sources)),
  ...files.flatMap((file) => missingSources(file, sources.read(file), programs)),
  ...unlisted(index, sources.read(index), pages),
  ...missingRows("docs/errors.md", sources.read("docs/errors.md"), [
    ...Object.entries(rules).map(([name, { code, section }]) => [name, String(code), section.replace("RFC 6455 ", "")] as const),
    ...Object.entries(handshakeRules).map(([name]) => [name] as const)
  ]),
  ...missingRows("docs/limits.md", sources.read("docs/limits.md"), Object.keys(defaults).map((name) => [name] as const)),
  ...missingRows("docs/architecture.md", sources.read("docs/architecture.md"), folders),
  ...missingRows("docs/configuration.md", sources.read("docs/configuration.md"), configuration)
]
for (const { file, line, what } of faults) console.error(`${file}${line === undefined ? "" : `:${line}`}: ${what}`)
if (faults.length > 0) process.exitCode = 1
else console.log(`documents: the links of ${files.length} lead somewhere`)
