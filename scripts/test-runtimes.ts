/**
 * Runs the tests on the other runtimes: installs Bun, Deno and workerd (`scripts/runtimes/installed.ts`), runs the suites of
 * `scripts/runtimes/suites.ts` on Bun and Deno themselves, and the tests that start programs on all of them
 * (`examples/test/runtimes`). It fails where a test fails that `scripts/runtimes/differences.ts` does not name, and where
 * one passes that is named there. The files of these run once more, with nothing beside them: only what is so again is a
 * fault, the rest is told. On Node no test is tried twice.
 *
 *   node scripts/test-runtimes.ts [bun] [deno] [pairs]    only these; default: all
 *   node scripts/test-runtimes.ts --write                 all, and writes the table into docs/runtimes.md
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import type { JsonTestResults } from "vitest/node"
import { bin, root, run } from "./lib/commands.ts"
import { type Difference, differences } from "./runtimes/differences.ts"
import { findRuntime, folder, installRuntimes } from "./runtimes/installed.ts"
import { isDocumented, writeTable } from "./runtimes/table.ts"
import { suites } from "./runtimes/suites.ts"

type Host = Difference["on"]

const asked = process.argv.slice(2)
const isAsked = (part: Host | "pairs") => asked.every((argument) => argument === "--write") || asked.includes(part)

// Bun's processes lack what vitest does with those that it starts, so its tests run in threads.
const argumentsOf: Readonly<Record<Host, ReadonlyArray<string>>> = {
  bun: ["node_modules/vitest/vitest.mjs", "run", "--pool=threads"],
  deno: ["run", "--allow-all", "node_modules/vitest/vitest.mjs", "run"]
}

interface Fault {
  /** The start of the paths of the files that show it. Absent: the run as a whole. */
  readonly file?: string
  readonly what: string
  /** What the test says, which may be other figures at another time. */
  readonly message?: string
}

const textOf = ({ message, what }: Fault) => message === undefined ? what : `${what}: ${message}`

interface Outcome {
  readonly passed: number
  readonly faults: ReadonlyArray<Fault>
}

interface TestRun {
  readonly file: string
  readonly name: string
  readonly status: string
  readonly message: string
}

const matches = ({ file, tests }: Difference, test: { readonly file: string; readonly name: string }) =>
  test.file.startsWith(file) && (tests === undefined || tests.test(test.name))

/** The tests of a run, by what vitest wrote about it. */
const read = (report: string): ReadonlyArray<TestRun> => {
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as JsonTestResults
  return testResults.flatMap(({ assertionResults, message, name, status }) => {
    const file = name.replaceAll("\\", "/").slice(root.length)
    // A file that could not be loaded has no tests.
    if (assertionResults.length === 0) return [{ file, name: "(the file)", status, message: message ?? "" }]
    return assertionResults.map((test) => ({
      file,
      name: test.fullName,
      status: test.status,
      message: test.failureMessages?.[0]?.split("\n", 1)[0] ?? ""
    }))
  })
}

/** Runs vitest until its report is there. On Deno it may not end: then it is ended. */
const runForReport = (command: string, args: ReadonlyArray<string>, report: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    const keep = (chunk: Buffer) => {
      output += chunk.toString()
    }
    child.stdout.on("data", keep)
    child.stderr.on("data", keep)
    const watch = setInterval(() => {
      if (!existsSync(report)) return
      clearInterval(watch)
      setTimeout(() => child.kill("SIGKILL"), 5000).unref()
    }, 1000)
    child.on("error", reject)
    // Not `close`: a program that a test left behind may hold the output.
    child.on("exit", () => {
      clearInterval(watch)
      child.stdout.destroy()
      child.stderr.destroy()
      if (existsSync(report)) resolve(output)
      else reject(new Error(`${command} made no report of the tests:\n${output.slice(-4000)}`))
    })
  })

const all = suites.flatMap(({ tests }) => tests)

/** Runs the suites on a runtime, or only files whose paths begin so. */
const runOn = async (host: Host, files: ReadonlyArray<string> = all): Promise<Outcome> => {
  const own = differences.filter(({ on }) => on === host)
  const leftOut = own.filter(({ isLeftOut }) => isLeftOut === true)
  const report = join(root, "build", `test-${host}.json`)
  // vitest puts " > " between the names of a test and of what is around it.
  const patterns = leftOut.flatMap(({ tests }) => tests === undefined ? [] : [tests.source.replaceAll(" ", "[ >]+")])
  rmSync(report, { force: true })
  const output = await runForReport(
    findRuntime(host)!,
    [
      ...argumentsOf[host],
      "--reporter=json",
      `--outputFile.json=${report}`,
      ...leftOut.flatMap(({ file, tests }) => tests === undefined ? [`--exclude=${file}`] : []),
      ...patterns.length === 0 ? [] : ["-t", `^(?!.*(?:${patterns.join("|")}))`],
      ...files
    ],
    report
  )
  const tests = read(report)
  const hasRun = ({ file }: { readonly file: string }) => files.some((start) => file.startsWith(start) || start.startsWith(file))
  const faults: Array<Fault> = []
  for (const { file, message, name, status } of tests) {
    const known = own.some((difference) => difference.isLeftOut !== true && matches(difference, { file, name }))
    if (status === "failed" && !known) faults.push({ file, what: `${file}: ${name}`, message })
  }
  for (const difference of own) {
    const { file, isLeftOut, isUncertain, why } = difference
    if (isLeftOut === true || isUncertain === true || !hasRun({ file })) continue
    const failed = tests.some((test) => test.status === "failed" && matches(difference, test))
    if (!failed) faults.push({ file, what: `${file}: passes, although a difference is stated: ${why}` })
  }
  for (const suite of suites) {
    if (!suite.tests.some((file) => hasRun({ file }))) continue
    const ran = tests.some(({ file, status }) => status === "passed" && suite.tests.some((start) => file.startsWith(start)))
    if (!ran) faults.push({ what: `${suite.name}: no test passed` })
  }
  // An error beside the tests fails none of them.
  const unhandled = output.indexOf("Unhandled Error")
  if (unhandled >= 0) faults.push({ what: output.slice(unhandled, unhandled + 2000) })
  return { passed: tests.filter(({ status }) => status === "passed").length, faults }
}

/** The faults that are there again when their files run alone. */
const confirmed = async (host: Host, faults: ReadonlyArray<Fault>): Promise<ReadonlyArray<Fault>> => {
  const files = [...new Set(faults.flatMap(({ file }) => file ?? []))]
  if (files.length === 0) return faults
  const again = await runOn(host, files)
  const remaining = new Set(again.faults.map(({ what }) => what))
  const gone = faults.filter(({ file, what }) => file !== undefined && !remaining.has(what))
  for (const fault of gone) console.log(`${host}: not so when its file ran once more: ${textOf(fault)}`)
  return faults.filter((fault) => !gone.includes(fault))
}

await installRuntimes()
mkdirSync(join(root, "build"), { recursive: true })
let isWell = true
for (const host of ["bun", "deno"] as const) {
  if (!isAsked(host)) continue
  const since = performance.now()
  const first = await runOn(host)
  const faults = await confirmed(host, first.faults)
  const { passed } = first
  for (const fault of faults) console.error(`${host}: ${textOf(fault)}`)
  console.log(`${host}: ${passed} tests passed, ${faults.length} faults, in ${((performance.now() - since) / 1000).toFixed(0)} s`)
  isWell &&= faults.length === 0
}
if (isAsked("pairs")) {
  // The summary of all tests, which `.ci/run` counts, stays what it is.
  const { status } = await run(bin("vitest"), ["run", "--reporter=default", "--retry=1", "examples/test/runtimes"], {
    cwd: root,
    env: { EFFECT_WS_RUNTIMES: folder() }
  })
  isWell &&= status === 0
}
if (asked.includes("--write")) writeTable()
else if (!isDocumented()) {
  console.error("docs/runtimes.md states other differences: write them by `npm run test:runtimes -- --write`")
  isWell = false
}
process.exitCode = isWell ? 0 : 1
