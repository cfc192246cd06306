/**
 * Runs tests against mutants, in a process of its own: a mutant that loops for ever is ended with it. It is kept for as many
 * mutants as it survives, so that Vitest starts once.
 */
import { relative } from "node:path"
import { createVitest } from "vitest/node"
import { root } from "../lib/commands.ts"

/** What to do: run the tests with one file's source replaced, or with none. */
export interface Task {
  readonly file: string
  readonly source: string | undefined
  readonly tests: ReadonlyArray<string>
  /** How long one test may take, in milliseconds. */
  readonly testTimeout: number
}

export interface Outcome {
  /** The test files, from the root of the repository. */
  readonly failed: ReadonlyArray<string>
  readonly error: string | undefined
  /** A test took too long. */
  readonly isTime: boolean
  /** How long the slowest test took. */
  readonly slowest: number
}

let task: Task | undefined

const vitest = await createVitest("test", {
  root,
  watch: false,
  reporters: [{}],
  // A part of the files is run at a time: nothing is to be read or written about them.
  outputFile: {},
  bail: 1,
  maxWorkers: 1,
  // They start sooner than processes.
  pool: "threads",
  coverage: { enabled: false },
  // A mutant is to be compiled anew.
  fsModuleCache: false
}, {
  plugins: [{
    name: "mutant",
    enforce: "pre",
    transform: (_code, id) => task?.source !== undefined && id.split("?")[0] === task.file ? task.source : undefined
  }]
})
const tell = (outcome: Outcome | "ready") => process.send!(outcome)

const run = async (next: Task): Promise<Outcome> => {
  if (task !== undefined) vitest.invalidateFile(task.file)
  task = next
  vitest.invalidateFile(next.file)
  const project = vitest.getRootProject()
  project.config.testTimeout = project.config.hookTimeout = next.testTimeout
  const specifications = next.tests.map((test) => project.createSpecification(test))
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications)
  // Earlier ones are among them.
  const concerned = testModules.filter((one) => next.tests.includes(one.moduleId))
  const failing = concerned.filter((one) => one.state() === "failed")
  const failed = failing.map((one) => relative(root, one.moduleId))
  const [first = unhandledErrors[0] as Partial<Error> | undefined] = failing.flatMap((one) => [
    ...one.errors(),
    ...Array.from(one.children.allTests("failed")).flatMap((test) => test.result().errors ?? [])
  ])
  return {
    failed: failed.length === 0 && unhandledErrors.length > 0 ? ["unhandled error"] : failed,
    error: first?.message,
    isTime: first?.name === "TestTimeoutError" || first?.name === "HookTimeoutError",
    slowest: Math.max(0, ...concerned.flatMap((one) => Array.from(one.children.allTests(), (test) => test.diagnostic()?.duration ?? 0)))
  }
}

process.on("message", (next: Task) => {
  void run(next).then(tell, (error: unknown) => tell({ failed: ["the run"], error: String(error), isTime: false, slowest: 0 }))
})
process.on("disconnect", () => process.exit())
tell("ready")
