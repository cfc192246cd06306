/** Checks every source file against the rules in `architecture.ts`. */
import { globSync, readFileSync } from "node:fs"
import { join, matchesGlob, posix } from "node:path"
import { floors, type Rule, rules } from "./architecture.ts"
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

/** The room of a file: its folder under `src/`, or itself where it is a public module. */
const roomOf = (file: string) => {
  const [, name, rest] = /^packages\/(\w+)\/src\/(.*)$/.exec(file)!
  return rest!.includes("/") ? `${name}/${rest!.slice(0, rest!.indexOf("/"))}` : `${name}/${rest}`
}

/** The groups of nodes that reach each other (Tarjan): each is a circle. */
const circlesOf = (graph: ReadonlyMap<string, ReadonlySet<string>>): ReadonlyArray<ReadonlyArray<string>> => {
  const circles: Array<ReadonlyArray<string>> = []
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: Array<string> = []
  const visit = (node: string): void => {
    index.set(node, index.size)
    low.set(node, index.get(node)!)
    stack.push(node)
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) visit(next)
      if (stack.includes(next)) low.set(node, Math.min(low.get(node)!, low.get(next)!))
    }
    if (low.get(node) !== index.get(node)) return
    const group = stack.splice(stack.indexOf(node))
    if (group.length > 1) circles.push(group)
  }
  for (const node of graph.keys()) if (!index.has(node)) visit(node)
  return circles
}

/** Of each file the others among `sources` that it imports. */
const importsOf = (sources: ReadonlyMap<string, string>): ReadonlyMap<string, ReadonlySet<string>> =>
  new Map([...sources].map(([file, source]) => {
    const specifiers = [...withoutComments(source).matchAll(importPattern)].map((match) => match[1]!)
    const targets = specifiers.filter((one) => one.startsWith(".")).map((one) => posix.join(posix.dirname(file), one))
    return [file, new Set(targets.filter((target) => sources.has(target)))]
  }))

/** Circles between files and rooms, and imports that lead to a higher floor. */
const structureOf = (sources: ReadonlyMap<string, string>): ReadonlyArray<string> => {
  const found: Array<string> = []
  const files = importsOf(sources)
  const rooms = new Map<string, Set<string>>()
  const floorOf = (file: string) => floors.findIndex((floor) => matchesAny(floor.files, file))
  for (const [file, targets] of files) {
    const floor = floorOf(file)
    if (floor === -1) found.push(`${file}: is on no floor of scripts/architecture.ts`)
    const room = roomOf(file)
    if (!rooms.has(room)) rooms.set(room, new Set())
    for (const target of targets) {
      if (roomOf(target) !== room) rooms.get(room)!.add(roomOf(target))
      if (floorOf(target) > floor) found.push(`${file}: imports ${target}, which is on a higher floor`)
    }
  }
  for (const circle of circlesOf(files)) found.push(`a circle of files: ${circle.join(" -> ")}`)
  for (const circle of circlesOf(rooms)) found.push(`a circle of rooms: ${circle.join(" -> ")}`)
  return found
}

// The same for the structure: each kind of fault is first seen.
const lowest = "packages/core/src/Opcode.ts"
const upward = structureOf(new Map([[lowest, `import "./WebSocket.ts"`], ["packages/core/src/WebSocket.ts", ""]]))
const round = structureOf(new Map([[lowest, `import "./CloseCode.ts"`], ["packages/core/src/CloseCode.ts", `import "./Opcode.ts"`]]))
if (upward.length !== 1 || round.length !== 2) blindStructure()

function blindStructure(): never {
  console.error("architecture: upward imports or circles are not seen")
  process.exit(1)
}

const files = globSync(["packages/*/{src,test}/**/*.ts", "{benchmark,examples,soak}/**/*.ts"], {
  cwd: root,
  exclude: (name) => name.endsWith("node_modules")
})
const violations = files.flatMap((file) => {
  const source = readFileSync(join(root, file), "utf8")
  return rules.flatMap((rule) => violationsOf(rule, file, source))
})
for (const { file, line, rule, what } of violations) console.error(`${file}:${line}: ${what}; ${rule}`)

const isSource = (file: string) => /^packages\/\w+\/src\//.test(file)
const isProgram = (file: string) => file.startsWith("benchmark/") || file.startsWith("soak/")
const sourcesOf = (isWanted: (file: string) => boolean) => new Map(files.filter(isWanted).map((file) => [file, readFileSync(join(root, file), "utf8")]))
const structure = [
  ...structureOf(sourcesOf(isSource)),
  ...circlesOf(importsOf(sourcesOf(isProgram))).map((circle) => `a circle of files: ${circle.join(" -> ")}`)
]
for (const line of structure) console.error(`architecture: ${line}`)

if (files.length === 0) console.error("architecture: no source files found")
if (blind.length > 0 || violations.length > 0 || structure.length > 0 || files.length === 0) process.exitCode = 1
else console.log(`architecture: ${rules.length} rules hold in ${files.length} files, no circle, no import upward`)
