/** Programs of this folder in processes of 64 MiB of heap, which say lines of JSON. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"

/** Runs a program, whose lines are kept as they come. */
export const inSmallHeap = <Line>(program: string, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const lines: Array<Line> = []
      const errors: Array<string> = []
      const child = spawn(process.execPath, ["--max-old-space-size=64", `${import.meta.dirname}/${program}`, ...args], {
        stdio: ["ignore", "pipe", "pipe"]
      })
      createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line) as Line))
      child.stderr.on("data", (chunk) => errors.push(String(chunk)))
      const running = { child, lines, errors, ended: false }
      child.on("exit", () => {
        running.ended = true
      })
      return running
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

interface Running<Line> {
  readonly lines: ReadonlyArray<Line>
  readonly errors: ReadonlyArray<string>
}

/** The first line of a kind, once it has come. */
export const lineOf = <Line>(running: Running<Line>, holds: (line: Line) => boolean, seconds = 60) =>
  Effect.gen(function*() {
    const giveUp = Date.now() + seconds * 1000
    for (;;) {
      const found = running.lines.find(holds)
      if (found !== undefined) return found
      assert.isTrue(Date.now() < giveUp, `no such line: ${JSON.stringify(running.lines)} ${running.errors.join("")}`)
      yield* Effect.sleep(20)
    }
  })
