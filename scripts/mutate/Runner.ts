/** Runs tests against mutants in a process that is kept, and is replaced when a mutant does not come back. */
import { type ChildProcess, fork } from "node:child_process"
import { relative } from "node:path"
import { root } from "../lib/commands.ts"
import type { Outcome, Task } from "./worker.ts"

export type Result = "passed" | "failed" | "timed out"

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
  async measure(file: string, tests: ReadonlyArray<string>): Promise<number | undefined> {
    if (tests.length === 0) {
      console.log(`${relative(root, file)}: no test reaches it`)
      return undefined
    }
    let outcome: Outcome | undefined
    // A busy machine may be too slow for a test once.
    for (let i = 0; i < 2; i++) {
      const began = Date.now()
      outcome = await this.ask({ file, source: undefined, tests }, 300_000)
      if (outcome !== undefined && "failed" in outcome && outcome.failed.length === 0) return Date.now() - began
    }
    console.log(`${relative(root, file)}: its tests fail without a mutant: ${JSON.stringify(outcome)}`)
    return undefined
  }

  async run(task: Task, limit: number): Promise<Result> {
    const outcome = await this.ask(task, limit)
    if (outcome === undefined) return "timed out"
    return "failed" in outcome && outcome.failed.length === 0 ? "passed" : "failed"
  }

  close(): void {
    const { child } = this
    this.child = undefined
    void child?.then((process) => process.kill("SIGKILL"), () => {})
  }
}
