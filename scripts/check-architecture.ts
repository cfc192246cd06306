/** Holds every source file against the rules in `architecture.ts`. */
import { globSync, readFileSync } from "node:fs"
import { join, matchesGlob, posix } from "node:path"
import { type Rule, rules } from "./architecture.ts"
import { root } from "./lib/commands.ts"
import { withoutComments, withoutStrings } from "./lib/source.ts"

interface Violation {
  readonly rule: string
  readonly file: string
  readonly line: number
  readonly what: string
}

const importPattern = /\b(?:from\s+|import\s*\(?\s*)["']([^"'\n]+)["']/g

const lineAt = (source: string, index: number) => source.slice(0, index).split("\n").length

const matchesAny = (patterns: ReadonlyArray<string>, target: string) =>
  patterns.some((pattern) => matchesGlob(target, pattern))

const concerns = (rule: Rule, file: string) =>
  rule.where.some((prefix) => file.startsWith(prefix)) && !rule.except?.some((prefix) => file.startsWith(prefix))

const violationsOf = (rule: Rule, file: string, source: string): ReadonlyArray<Violation> => {
  if (!concerns(rule, file)) return []
  const found: Array<Violation> = []
  const code = withoutComments(source)
  for (const match of code.matchAll(importPattern)) {
    const specifier = match[1]!
    const target = specifier.startsWith(".") ? posix.join(posix.dirname(file), specifier) : specifier
    const forbidden = matchesAny(rule.forbid ?? [], target) && !matchesAny(rule.permit ?? [], target)
    const foreign = rule.allow !== undefined && !matchesAny(rule.allow, target)
    if (forbidden || foreign) found.push({ rule: rule.name, file, line: lineAt(code, match.index), what: `imports "${specifier}"` })
  }
  const bare = rule.globals || rule.text ? withoutStrings(code) : ""
  for (const match of rule.text ? bare.matchAll(rule.text) : []) {
    found.push({ rule: rule.name, file, line: lineAt(bare, match.index), what: `contains "${match[0]}"` })
  }
  if (rule.globals) {
    // As a value (`Buffer.from`), not as the name of a property or in a longer word (`ArrayBuffer`).
    const pattern = new RegExp(`(?:\\bglobalThis\\s*\\.\\s*|(?<![.\\w$]))(${rule.globals.join("|")})\\s*[.([]`, "g")
    for (const match of bare.matchAll(pattern)) {
      found.push({ rule: rule.name, file, line: lineAt(bare, match.index), what: `names ${match[1]}` })
    }
  }
  return found
}

// A rule that never fires proves nothing: each is first shown its own broken line.
const blind = rules.filter((rule) => violationsOf(rule, rule.broken.file, rule.broken.source).length === 0)
for (const rule of blind) console.error(`architecture: the rule "${rule.name}" does not see what breaks it`)

const files = globSync(["packages/*/{src,test}/**/*.ts", "examples/**/*.ts"], {
  cwd: root,
  exclude: (name) => name.endsWith("node_modules")
})
const violations = files.flatMap((file) => {
  const source = readFileSync(join(root, file), "utf8")
  return rules.flatMap((rule) => violationsOf(rule, file, source))
})
for (const { file, line, rule, what } of violations) console.error(`${file}:${line}: ${what}; ${rule}`)

if (files.length === 0) console.error("architecture: no source files found")
if (blind.length > 0 || violations.length > 0 || files.length === 0) process.exitCode = 1
else console.log(`architecture: ${rules.length} rules hold in ${files.length} files`)
