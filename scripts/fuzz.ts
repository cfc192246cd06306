/**
 * The fuzzer. For a quarter of its time, at most `--explore` inputs, it looks for inputs that run code in a new way and
 * keeps them in `build/fuzz`; then it mutates them and makes fresh ones as fast as it can. A finding is made small,
 * printed, and ends the run with 1; keep it in the `cases.ts` beside its target.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { calling } from "../packages/core/test/fuzz/calling.ts"
import { closing } from "../packages/core/test/fuzz/closing.ts"
import { failureOf, fuzz, type Found, inputOf, shrink, withoutStacks } from "../packages/core/test/fuzz/Fuzzer.ts"
import { handshaking } from "../packages/core/test/fuzz/handshaking.ts"
import { receiving } from "../packages/core/test/fuzz/receiving.ts"
import { fromHex, type Target, toHex } from "../packages/core/test/fuzz/Target.ts"
import { topics } from "../packages/core/test/fuzz/topics.ts"
import { deflating } from "../packages/node/test/fuzz/deflating.ts"
import { wsReceiver } from "../packages/node/test/fuzz/wsReceiver.ts"
import { start as startCoverage } from "./fuzz/coverage.ts"
import { root } from "./lib/commands.ts"

const targets: ReadonlyArray<Target> = [receiving, calling, closing, wsReceiver, deflating, handshaking, topics]
const folder = join(root, "build/fuzz")

const help = `npm run fuzz                                         each target for 30 seconds
npm run fuzz -- --targets receiving,ws --seconds 300
npm run fuzz -- --count 100000 --seed 1              the same inputs again, given the same build/fuzz
npm run fuzz -- --explore 20000                      looks longer for inputs that run code in a new way (10000)
npm run fuzz -- --replay receiving 00018081          runs one input

Targets: ${targets.map(({ name }) => name).join(", ")}`

const fail = (what: string): never => {
  console.error(what)
  process.exit(2)
}

const options = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        targets: { type: "string" },
        seconds: { type: "string", default: "30" },
        count: { type: "string" },
        explore: { type: "string", default: "10000" },
        seed: { type: "string" },
        replay: { type: "string" },
        help: { type: "boolean" }
      }
    })
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n\n${help}`)
  }
}

const { positionals, values } = options()

const named = (name: string): Target =>
  targets.find((target) => target.name === name) ?? fail(`no target ${name}; there are ${targets.map((t) => t.name).join(", ")}`)

const number = (name: string, value: string): number => {
  const parsed = Number(value)
  return Number.isSafeInteger(parsed) && parsed >= 0 ? parsed : fail(`--${name} is not a number: ${value}`)
}

const tell = (target: Target, { error, input }: Found): void => {
  console.error(`\n${target.name}: ${error instanceof Error ? error.stack : String(error)}`)
  console.error(`\nagain: npm run fuzz -- --replay ${target.name} ${toHex(input)}`)
}

const readCorpus = (target: Target): Array<Uint8Array> => {
  const file = join(folder, `${target.name}.txt`)
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map(fromHex) : []
}

interface Tried {
  readonly found: Found | undefined
  readonly tried: number
}

// Reading the coverage takes milliseconds, so many inputs share one reading.
const batch = 50

/** Inputs that run code in a new way join the corpus. */
const explore = (target: Target, seed: number, count: number, corpus: Array<Uint8Array>, until: number): Tried => {
  const coverage = startCoverage()
  try {
    for (const input of corpus) coverage.note(() => failureOf(target, input))
    let tried = 0
    while (tried < count && performance.now() < until) {
      const inputs = Array.from({ length: Math.min(batch, count - tried) }, (_, i) => inputOf(target, seed, tried + i, corpus))
      let found: Found | undefined
      const isNew = coverage.isNew(() => {
        for (const input of inputs) found ??= failureOf(target, input)
      })
      tried += inputs.length
      if (found !== undefined) return { found: shrink(target, found), tried }
      // Early on every batch is new: one in many is looked at for how often code ran.
      if (!isNew && tried % (20 * batch) !== 0) continue
      for (const input of inputs) if (coverage.note(() => failureOf(target, input))) corpus.push(input)
    }
    console.log(`${target.name}: explored ${tried}, ${coverage.size()} places, ${corpus.length} inputs worth keeping`)
    return { found: undefined, tried }
  } finally {
    coverage.stop()
  }
}

const slice = 2000

const hunt = (target: Target, seed: number): Tried => {
  const began = performance.now()
  const count = values.count === undefined ? Infinity : number("count", values.count)
  const until = values.count === undefined ? began + number("seconds", values.seconds) * 1000 : Infinity
  const corpus = readCorpus(target)
  const explored = explore(target, seed, Math.min(count, number("explore", values.explore)), corpus, Math.min(until, began + (until - began) / 4))
  let { found, tried } = explored
  writeFileSync(join(folder, `${target.name}.txt`), corpus.map((input) => `${toHex(input)}\n`).join(""))
  while (found === undefined && tried < count && performance.now() < until) {
    const now = Math.min(slice, count - tried)
    found = fuzz(target, { seed, from: tried, count: now, corpus })
    tried += now
  }
  const seconds = (performance.now() - began) / 1000
  console.log(`${target.name}: ${tried} inputs in ${seconds.toFixed(1)} s, ${(tried / seconds).toFixed(0)} a second, seed ${seed}`)
  return { found, tried }
}

if (values.help === true) {
  console.log(help)
} else if (values.replay !== undefined) {
  const target = named(values.replay)
  const found = failureOf(target, fromHex(positionals[0] ?? ""))
  if (found === undefined) {
    console.log(`${target.name}: nothing is wrong with it`)
  } else {
    tell(target, found)
    process.exitCode = 1
  }
} else {
  mkdirSync(folder, { recursive: true })
  const seed = values.seed === undefined ? Date.now() % 2 ** 21 : number("seed", values.seed)
  const chosen = values.targets === undefined ? targets : values.targets.split(",").map(named)
  let sum = 0
  for (const target of chosen) {
    const { found, tried } = withoutStacks(() => hunt(target, seed))
    sum += tried
    if (found !== undefined) {
      tell(target, failureOf(target, found.input) ?? found)
      process.exitCode = 1
    }
  }
  console.log(`fuzz: ${sum} inputs, seed ${seed}`)
}
