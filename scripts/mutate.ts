/**
 * Mutation testing: small changes of the sources, one at a time, each of which some test should notice. A change that no test
 * notices survives, and shows what the tests do not check. The tests of a file are those nearest to it: its mirror first, then
 * those that import it by the shortest way, and more of these for a change that the first few do not notice.
 *
 *   npm run mutate                                         40 mutants of the rooms without effects
 *   npm run mutate -- --folders packages/core/src/codec --count 200 --seed 7
 *   npm run mutate -- --folders packages/core/src/protocol/Inbound.ts --all
 *
 * `mutate/equivalent.ts` lists the mutants that no test can notice, with the reason.
 */
import { existsSync, globSync, readFileSync, statSync } from "node:fs"
import { join, relative } from "node:path"
import { parseArgs } from "node:util"
import { bin, root } from "./lib/commands.ts"
import { equivalents } from "./mutate/equivalent.ts"
import { type Mutant, mutantsOf } from "./mutate/mutants.ts"
import { nearestTests } from "./mutate/nearest.ts"
import { Runner, type Usual } from "./mutate/Runner.ts"

const rooms = ["codec", "deflate", "handshake", "http", "memory", "protocol"].map((room) => `packages/core/src/${room}`)

const { values } = parseArgs({
  options: {
    folders: { type: "string", default: rooms.join(",") },
    count: { type: "string", default: "40" },
    seed: { type: "string", default: "1" },
    all: { type: "boolean", default: false },
    tests: { type: "string", default: "6" },
    wider: { type: "string", default: "18" },
    jobs: { type: "string", default: "2" },
    least: { type: "string", default: "95" },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

if (values.help) {
  console.log(`npm run mutate -- [--folders A,B] [--count 40 | --all] [--seed 1] [--tests 6] [--wider 18] [--jobs 2] [--least 95] [--verbose]

  --folders  folders or files, from the root of the repository
  --count    so many mutants, chosen by --seed; --all: every one
  --tests    at most so many test files for each file, the nearest first
  --wider    so many more for what these do not notice
  --jobs     so many at a time
  --least    ends with 1 where fewer than so many percent of what is not equivalent are noticed
  --verbose  tells of each mutant how it went`)
  process.exit()
}

/** Numbers between 0 and 1 that are the same for the same seed (mulberry32). */
const random = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 0x100000000
}

interface Candidate extends Mutant {
  readonly file: string
  readonly source: string
}

const files = values.folders.split(",").flatMap((path) => {
  const full = join(root, path)
  if (!existsSync(full)) throw new Error(`there is no ${path}`)
  return statSync(full).isDirectory() ? globSync("**/*.ts", { cwd: full }).map((file) => join(full, file)) : [full]
}).sort()

const candidates: Array<Candidate> = files.flatMap((file) => {
  const source = readFileSync(file, "utf8")
  return mutantsOf(source).map((mutant) => ({ ...mutant, file, source }))
})

const chosen = (): Array<Candidate> => {
  if (values.all) return candidates
  const next = random(Number(values.seed))
  const left = [...candidates]
  return Array.from({ length: Math.min(Number(values.count), left.length) }, () =>
    left.splice(Math.floor(next() * left.length), 1)[0]!)
}

const describe = ({ end, file, line, replacement, source, start }: Candidate): string => {
  const lineStart = source.lastIndexOf("\n", start - 1) + 1
  const lineEnd = source.indexOf("\n", start)
  const original = source.slice(start, end)
  const shown = original.includes("\n") ? `${original.split("\n")[0]!} …` : original
  return `${relative(root, file)}:${line}:${start - lineStart + 1}  ${source.slice(lineStart, lineEnd).trim()}\n    ${shown} -> ${replacement === "" ? "(nothing)" : replacement}`
}

const isEquivalent = ({ end, file, line, replacement, source, start }: Candidate): boolean => {
  const path = relative(root, file).replaceAll("\\", "/")
  const lines = source.split("\n")
  const text = lines[line - 1]!
  const original = source.slice(start, end)
  return equivalents.some((one) =>
    one.file === path && text.includes(one.line) &&
    (one.after === undefined || lines.slice(Math.max(0, line - 4), line - 1).join("\n").includes(one.after)) &&
    (one.change === undefined || one.change.some(([from, to]) => from === original && (to === undefined || to === replacement))))
}

type Verdict = "killed" | "timed out" | "survived" | "equivalent" | "untested"

const mutants = chosen()
const verdicts = new Map<Candidate, Verdict>()
const few = Number(values.tests)
const tests = nearestTests(root, files, few + Number(values.wider))

// Those of a file together: its tests are compiled once.
const queue = mutants.filter((mutant) => {
  if (!isEquivalent(mutant)) return true
  verdicts.set(mutant, "equivalent")
  return false
}).sort((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : a.start - b.start)

const began = Date.now()
let done = 0

/** Tests that fail anyway prove nothing: those of each file run once without a mutant, and tell how long they take. */
const sound = new Map<string, Promise<Usual | undefined>>()

const judge = async (runner: Runner, mutant: Candidate): Promise<Verdict> => {
  const { end, file, replacement, source, start } = mutant
  const near = tests.get(file)!
  const changed = source.slice(0, start) + replacement + source.slice(end)
  for (const [from, to] of [[0, 1], [1, few], [few, near.length]] as const) {
    const some = near.slice(from, to)
    if (some.length === 0 && from > 0) continue
    const key = `${file} ${from}`
    let measured = sound.get(key)
    if (measured === undefined) sound.set(key, measured = runner.measure(file, some))
    const usual = await measured
    if (usual === undefined) return "untested"
    const outcome = await runner.run(file, changed, some, usual)
    if (outcome !== "passed") return outcome === "failed" ? "killed" : "timed out"
  }
  return "survived"
}

const work = async (): Promise<void> => {
  const runner = new Runner(join(root, "scripts/mutate/worker.ts"), bin("node"))
  try {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const verdict = await judge(runner, mutant)
      verdicts.set(mutant, verdict)
      done++
      if (values.verbose || verdict === "survived") console.log(`${verdict}: ${describe(mutant)}`)
      if (done % 50 === 0) console.log(`${done} done, ${queue.length} left, ${Math.round((Date.now() - began) / 1000)} s`)
    }
  } finally {
    runner.close()
  }
}

await Promise.all(Array.from({ length: Number(values.jobs) }, work))

const count = (file: string | undefined, verdict: Verdict): number =>
  mutants.filter((mutant) => (file === undefined || mutant.file === file) && verdicts.get(mutant) === verdict).length

const verdictNames: ReadonlyArray<Verdict> = ["killed", "timed out", "survived", "equivalent", "untested"]
const concerned = [...new Set(mutants.map(({ file }) => file))].sort()
const width = Math.max(5, ...concerned.map((file) => relative(root, file).length))
console.log(`\n${"".padEnd(width)}  ${verdictNames.map((name) => name.padStart(12)).join("")}`)
for (const file of [...concerned, undefined]) {
  const counts = verdictNames.map((name) => String(count(file, name)).padStart(12)).join("")
  console.log(`${(file === undefined ? "all" : relative(root, file)).padEnd(width)}  ${counts}`)
}

const survivors = mutants.filter((mutant) => verdicts.get(mutant) === "survived")
if (survivors.length > 0) console.log(`\nsurvived:\n${survivors.map(describe).join("\n")}`)
const noticed = count(undefined, "killed") + count(undefined, "timed out")
const percent = noticed + survivors.length === 0 ? 100 : 100 * noticed / (noticed + survivors.length)
console.log(`\n${percent.toFixed(1)} % of ${noticed + survivors.length} mutants were noticed, seed ${values.seed}`)
process.exitCode = percent < Number(values.least) || count(undefined, "untested") > 0 ? 1 : 0
