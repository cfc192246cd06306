/**
 * Checks the documents: every link between them leads to a file and to a heading that exist, every source file that they
 * name exists, and so does what they and the comments of the packages name of a public module (`Limits.share`), every page of
 * `docs/` is listed in its index, the pages that list rules, errors, limits, variables, metrics,
 * close codes, commands and folders list all of them, and the defaults that they tell are those of the code.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { existsSync, globSync, readFileSync } from "node:fs"
import { basename, dirname, join, normalize } from "node:path"
import * as CloseCode from "../packages/core/src/CloseCode.ts"
import { makePolicy as lifetimePolicy } from "../packages/core/src/connection/Lifetime.ts"
import * as Contract from "../packages/core/src/Contract.ts"
import { handshakeRules } from "../packages/core/src/http/Refusal.ts"
import * as Limits from "../packages/core/src/Limits.ts"
import * as Observability from "../packages/core/src/Observability.ts"
import { rules } from "../packages/core/src/protocol/Violation.ts"
import * as Realtime from "../packages/core/src/realtime/index.ts"
import { makePolicy as shutdownPolicy } from "../packages/core/src/server/Shutdown.ts"
import * as Testing from "../packages/core/src/testing/index.ts"
import * as WebSocketConfig from "../packages/core/src/WebSocketConfig.ts"
import * as WebSocketError from "../packages/core/src/WebSocketError.ts"
import { root } from "./lib/commands.ts"
import { defaultsOf, uncommented, untold, variablesOf } from "./lib/defaults.ts"
import { anchorsOf, linksOf, rowsOf } from "./lib/markdown.ts"
import { namesIn, referencesOf } from "./lib/names.ts"

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

/** What a document or a source refers to of a module, which does not have it. */
const missingNames = (file: string, text: string, modules: ReadonlyMap<string, ReadonlySet<string>>): ReadonlyArray<Fault> =>
  referencesOf(text).filter(({ module, name }) => modules.get(module)?.has(name) === false).map(({ line, module, name }) => ({
    file,
    line,
    what: `there is no ${module}.${name}`
  }))

/** The errors that a module exports. */
const errorsOf = (module: object): ReadonlyArray<string> =>
  Object.entries(module).filter(([, value]) => typeof value === "function" && value.prototype instanceof Error).map(([name]) => name)

/** The variables that a page lists, with what it says are their defaults, mean what the code does where none is set. */
const wrongDefaults = (file: string, text: string): ReadonlyArray<Fault> => {
  // "no limit" and the like are no values.
  const isValue = (told: string) => /^(?:\d[\w ]*|on|true|false|infinity|suspend|sameHost|Debug)$/.test(told) && !told.includes("more than")
  const values = Object.fromEntries(Object.entries(variablesOf(text)).filter(([, value]) => isValue(value)))
  const read = <A>(config: { readonly parse: (provider: ConfigProvider.ConfigProvider) => Effect.Effect<A, unknown> }, more = {}): A =>
    Effect.runSync(Effect.orDie(config.parse(ConfigProvider.fromEnv({ env: { ...values, ...more } }))))
  const { maxConnections, processes, shutdown } = read(WebSocketConfig.server())
  const closing = read(WebSocketConfig.limits(), { SLOW_CONSUMER: "close1013" })
  const { onDisconnect, origin } = read(WebSocketConfig.accept())
  const told = defaultsOf({
    ...Limits.make(read(WebSocketConfig.limits())),
    closing: Limits.make(closing).slowConsumer,
    topics: Limits.makeTopics(read(WebSocketConfig.topics())),
    onDisconnect: lifetimePolicy(onDisconnect),
    origin,
    shutdown: shutdownPolicy(shutdown),
    maxConnections,
    processes
  })
  const real = defaultsOf({
    ...Limits.defaults,
    closing: Limits.make({ slowConsumer: { close: 1013 } }).slowConsumer,
    topics: Limits.defaultTopics,
    onDisconnect: lifetimePolicy(undefined),
    origin: "sameHost",
    shutdown: shutdownPolicy(),
    maxConnections: Limits.defaultMaxConnections,
    processes: 1
  })
  return told.flatMap(({ path, value }, index) =>
    value === real[index]!.value ? [] : [{ file, what: `says ${value} of ${path.join(".")}, where the code has ${real[index]!.value}` }])
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
const limitSample = [{ path: ["size"], value: 65_536 }, { path: ["alive", "interval"], value: 20_000 }]
const blind = samples.some(([text, count]) => deadLinks("docs/b.md", text, sample).length !== count) ||
  unlisted("docs/README.md", "[a](a.md#one)", ["docs/README.md", "docs/a.md", "docs/b.md"]).length !== 1 ||
  missingSources("a.md", "`a/B.ts`, `b/B.ts`, `B.ts`, a/C.ts", ["src/a/B.ts"]).length !== 1 ||
  missingRows("a.md", "| `One` | 1002 | §5 |\n| `two: { x }` | |\n", [["One", "1002"], ["One", "1003"], ["two"], ["Three"]])
      .length !== 2 ||
  untold("| | `size` | 64 KiB |\n| | `alive: { interval }` | 20 s |\n", limitSample).length !== 0 ||
  untold("| | `size` | 164 KiB |\n| | `alive.timeout` | 20 s |\n", limitSample).length !== 2 ||
  uncommented("/** Default 65,536. */\nreadonly size?: number\n/** 20\n * seconds. */\nreadonly alive?: {}", limitSample).length !== 0 ||
  uncommented("/** Default 65,5366. */\nreadonly size?: number\n/** 20.5 seconds. */\nreadonly alive?: {}", limitSample).length !== 2 ||
  missingNames("a.md", "`One.one`, `One.b`, `One.two(x)`, `One.ts`, One.x, `Two.x`\n```ts\n`One.x`\n```\n", new Map([[
    "One",
    namesIn("export const one = 1\nexport {\n  /** c */\n  two,\n  c as d\n}\nexport interface E {\n  readonly f: 1\n}\n")
  ]])).length !== 1 ||
  errorsOf({ Error, TypeError, make: () => {} }).length !== 1
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
const folders = globSync("packages/*/src/*/", { cwd: root }).map((folder) => [`${basename(folder)}/`] as const)
const errors = [WebSocketError, Contract, ...Object.values(Realtime)].flatMap(errorsOf)
const metrics = [...Object.values(Observability.metrics.server), ...Object.values(Observability.topicMetrics)]
const manifest: { readonly scripts: object; readonly devDependencies: Readonly<Record<string, string>> } = JSON.parse(sources.read("package.json"))
// What runs before a script is no command of its own.
const commands = Object.keys(manifest.scripts).filter((name) => !(name.startsWith("pre") && name.slice(3) in manifest.scripts))
const examples = globSync("examples/{*,*/{server,client}}.ts", { cwd: root }).map((file) => file.slice("examples/".length))
const config = "packages/core/src/WebSocketConfig.ts"
// The functions of that module by which a variable is read.
const configuration = [
  ...sources.read("packages/core/src/WebSocketConfig.ts").matchAll(/\b(?:size|integer|duration|boolean|oneOf|list)\("([A-Z_]+)"/g)
].map(([, name]) => [name!] as const)

// Modules that export another package's as their own are not known as a whole.
const modules = new Map(
  globSync("packages/{core,node}/src/{,realtime/,testing/}[A-Z]*.ts", { cwd: root })
    .map((file) => [basename(file, ".ts"), sources.read(file)] as const)
    .filter(([, source]) => !source.includes("export * from \"@effect"))
    .map(([name, source]) => [name, namesIn(source)] as const)
)

const programs = globSync("{packages,examples,benchmark,soak,scripts,website}/**/*.{ts,mjs,wat}", {
  cwd: root,
  exclude: (name) => name.endsWith("node_modules") || name.endsWith("dist")
}).map((file) => file.replaceAll("\\", "/"))

const limits = [...defaultsOf(Limits.defaults), ...defaultsOf(Limits.defaultTopics)]
const closeCodes = Object.entries(CloseCode).flatMap(([name, code]) => typeof code === "number" ? [[name, String(code)] as const] : [])

/** What a document does not name anywhere. */
const unnamed = (file: string, wanted: ReadonlyArray<string>): ReadonlyArray<Fault> =>
  wanted.filter((name) => !sources.read(file).includes(name)).map((name) => ({ file, what: `does not name ${name}` }))

const faults: ReadonlyArray<Fault> = [
  ...files.flatMap((file) => deadLinks(file, sources.read(file), sources)),
  ...files.flatMap((file) => missingSources(file, sources.read(file), programs)),
  // The changelog names what is gone, too.
  ...[...files.filter((file) => file !== "CHANGELOG.md"), ...programs.filter((file) => /^packages\/\w+\/src\//.test(file))]
    .flatMap((file) => missingNames(file, sources.read(file), modules)),
  ...unlisted(index, sources.read(index), pages),
  ...missingRows("docs/errors.md", sources.read("docs/errors.md"), [
    ...Object.entries(rules).map(([name, { code, section }]) => [name, String(code), section.replace("RFC 6455 ", "")] as const),
    ...Object.entries(handshakeRules).map(([name]) => [name] as const)
  ]),
  ...missingRows("docs/errors.md", sources.read("docs/errors.md"), [
    ...new Set([...errors, ...WebSocketError.IOError.fields.phase.literals, ...WebSocketError.IOError.fields.reason.literals])
  ].map((name) => [name] as const)),
  ...untold(sources.read("docs/limits.md"), limits).map((what) => ({ file: "docs/limits.md", what })),
  ...uncommented(sources.read("packages/core/src/Limits.ts"), limits).map((what) => ({ file: "packages/core/src/Limits.ts", what })),
  ...missingRows("docs/architecture.md", sources.read("docs/architecture.md"), folders),
  ...["docs/configuration.md", config].flatMap((file) => wrongDefaults(file, sources.read(file))),
  ...missingRows("docs/configuration.md", sources.read("docs/configuration.md"), configuration),
  ...missingRows("docs/observability.md", sources.read("docs/observability.md"), metrics.map(({ id }) => [id] as const)),
  ...missingRows("docs/close-codes.md", sources.read("docs/close-codes.md"), closeCodes),
  ...unnamed("docs/testing.md", Object.keys(Testing)),
  ...unnamed("CONTRIBUTING.md", commands.map((name) => name === "start" || name === "test" ? `npm ${name}` : `npm run ${name}`)),
  ...unnamed("examples/README.md", examples),
  ...unnamed("docs/comparison.md", [
    `\`ws\` ${manifest.devDependencies["ws"]}`,
    `undici ${manifest.devDependencies["undici"]}`,
    `socket.io ${manifest.devDependencies["socket.io"]}`
  ])
]
for (const { file, line, what } of faults) console.error(`${file}${line === undefined ? "" : `:${line}`}: ${what}`)
if (faults.length > 0) process.exitCode = 1
else console.log(`documents: the links of ${files.length} lead somewhere`)
