/** Runs tests against mutants in a process that is kept, and is replaced when a mutant does not come back. */
import { type ChildProcess, fork } from "node:child_process"
import { relative } from "node:path"
import { root } from "../lib/commands.ts"
import type { Outcome, Task } from "./worker.ts"

export type Result = "passed" | "failed" | "timed out"

/** How long tests take without a mutant, all together and the slowest, in milliseconds. */
export interface Usual {
  readonly total: number
  readonly slowest: number
}

const hasPassed = (outcome: Outcome | undefined): boolean => outcome?.failed.length === 0

// Vitest keeps a little of each run: after so many its process is replaced.
const maxRuns = 50

export class Runner {
  private readonly program: string
  private readonly node: string
  private child: Promise<ChildProcess> | undefined
  private runs = 0

  constructor(program: string, node: string) {
    this.program = program
    this.node = node
  }

  private start(): Promise<ChildProcess> {
    const child = fork(this.program, { cwd: root, execPath: this.node, stdio: ["ignore", "ignore", "inherit", "ipc"] })
    return new Promise((resolve, reject) => {
      child.once("error", reject)
      child.once("exit", (code) => reject(new Error(`the worker ended (${code})`)))
      child.once("message", () => resolve(child))
    })
  }

  private async ask(task: Task, limit: number): Promise<Outcome | undefined> {
    if (++this.runs % maxRuns === 0) this.close()
    const child = await (this.child ??= this.start())
    return new Promise((resolve) => {
      const settle = (outcome: Outcome | undefined): void => {
        clearTimeout(timer)
        child.removeAllListeners("message").removeAllListeners("exit")
        resolve(outcome)
      }
      const timer = setTimeout(() => {
        this.close()
        settle(undefined)
      }, limit)
      child.once("message", (outcome: Outcome) => settle(outcome))
      child.once("exit", () => {
        this.child = undefined
        settle(undefined)
      })
      child.send(task)
    })
  }

  /** How long the tests of a file take; `undefined`, with a word why, where they do not pass. */
  async measure(file: string, tests: ReadonlyArray<string>): Promise<Usual | undefined> {
    if (tests.length === 0) {
      console.log(`${relative(root, file)}: no test reaches it`)
      return undefined
    }
    let outcome: Outcome | undefined
    // A busy machine may be too slow for a test once.
    for (let i = 0; i < 2; i++) {
      const began = Date.now()
      outcome = await this.ask({ file, source: undefined, tests, testTimeout: 60_000 }, 300_000)
      if (outcome !== undefined && hasPassed(outcome)) return { total: Date.now() - began, slowest: outcome.slowest }
    }
    console.log(`${relative(root, file)}: its tests fail without a mutant: ${JSON.stringify(outcome)}`)
    return undefined
  }

  /**
   * What tests make of a mutant. On a busy machine a test may fail for another reason than the mutant: what fails must fail
   * again, and what takes too long counts only if the same tests pass in that time without the mutant.
   */
  async run(file: string, source: string, tests: ReadonlyArray<string>, usual: Usual): Promise<Result> {
    for (let patience = 1; patience <= 4; patience *= 2) {
      const testTimeout = patience * (3000 + 10 * usual.slowest)
      const limit = testTimeout + patience * (5000 + 5 * usual.total)
      const outcome = await this.ask({ file, source, tests, testTimeout }, limit)
      if (hasPassed(outcome)) return "passed"
      const concerned = outcome === undefined ? tests : tests.filter((test) => outcome.failed.includes(relative(root, test)))
      const again: Task = { file, source, tests: concerned.length === 0 ? tests : concerned, testTimeout }
      if (outcome !== undefined && !outcome.isTime) {
        if (!hasPassed(await this.ask(again, limit))) return "failed"
      } else if (hasPassed(await this.ask({ ...again, source: undefined }, limit))) {
        return "timed out"
      }
    }
    return "passed"
  }

  close(): void {
    const { child } = this
    this.child = undefined
    void child?.then((process) => process.kill("SIGKILL"), () => {})
  }
}
