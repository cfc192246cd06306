/**
 * Type-checks every `ts` block of the JSDoc in the packages, of README.md and of docs/: each as a module of its
 * own that imports the packages by name, with Effect's diagnostics, all in one run of the compiler. A block that
 * begins with a comment like `// server.ts` is the file of that name: the named blocks of one document import each other.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { root, tsc } from "./lib/commands.ts"

interface Example {
  readonly file: string
  /** The line of the file (from 0) on which the block's first line stands. */
  readonly line: number
  readonly code: string
}

const fence = /^(\s*(?:\* ?)?)(`{3,})(\w*)/

/** The `ts` blocks of a file; in TypeScript only those inside comments. */
const examplesOf = (file: string, text: string): ReadonlyArray<Example> => {
  const found: Array<Example> = []
  const isMarkdown = file.endsWith(".md")
  let open: { prefix: string; ticks: string; line: number; wanted: boolean; code: Array<string> } | undefined
  for (const [index, line] of text.split("\n").entries()) {
    const match = fence.exec(line)
    if (open === undefined) {
      if (match === null || (!isMarkdown && !match[1]!.includes("*"))) continue
      const wanted = match[3] === "ts" || match[3] === "typescript"
      open = { prefix: match[1]!, ticks: match[2]!, line: index + 1, wanted, code: [] }
    } else if (match !== null && match[2] === open.ticks && match[3] === "") {
      if (open.wanted) found.push({ file, line: open.line, code: open.code.join("\n") })
      open = undefined
    } else {
      open.code.push(line.startsWith(open.prefix) ? line.slice(open.prefix.length) : line.replace(/^\s*\*/, ""))
    }
  }
  if (open !== undefined) throw new Error(`${file}:${open.line}: a code block is never closed`)
  return found
}

const files = globSync(["packages/*/src/**/*.ts", "*.md", "docs/**/*.md", "packages/*/*.md"], { cwd: root }).toSorted()
const examples = files.flatMap((file) => examplesOf(file, readFileSync(join(root, file), "utf8")))
if (examples.length === 0) {
  console.error("examples: none found; the check would prove nothing")
  process.exit(1)
}

// Inside the repository, so that `effect` and the types of Node resolve; the packages resolve to their sources.
const folder = join(root, "build/examples")
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

const names = new Map<string, Example>()
for (const example of examples) {
  const page = example.file.replaceAll(/\W+/g, "-")
  const given = /^\/\/ ([\w.]+\.ts)$/.exec(example.code.split("\n", 1)[0]!)?.[1]
  const name = given === undefined ? `${page}-${example.line + 1}.ts` : `${page}/${given}`
  const other = names.get(name)
  if (other !== undefined) throw new Error(`${example.file}: lines ${other.line} and ${example.line} are both ${given}`)
  names.set(name, example)
  mkdirSync(dirname(join(folder, name)), { recursive: true })
  writeFileSync(join(folder, name), `${example.code}\n`)
}
const config = {
  extends: relative(folder, join(root, "tsconfig.check.json")),
  compilerOptions: {
    noUnusedLocals: false,
    noUnusedParameters: false,
    paths: {
      "@effect-ws/core": ["../../packages/core/src/index.ts"],
      "@effect-ws/core/realtime": ["../../packages/core/src/realtime/index.ts"],
      "@effect-ws/core/testing": ["../../packages/core/src/testing/index.ts"],
      "@effect-ws/node": ["../../packages/node/src/index.ts"]
    }
  },
  include: ["**/*.ts"]
}
writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config, null, 2))

const { output, status } = await tsc(["-p", folder, "--pretty", "false"], { cwd: folder, quiet: true })

// Errors are reported at the example, not at its copy.
const located = output.replaceAll(/^([\w./-]+\.ts)\((\d+),(\d+)\)/gm, (whole, name: string, line: string) => {
  const example = names.get(name)
  return example === undefined ? whole : `${example.file}:${example.line + Number(line)}`
})
if (status !== 0) {
  console.error(located.trimEnd())
  process.exitCode = 1
} else {
  console.log(`examples: ${examples.length} type-check`)
}
