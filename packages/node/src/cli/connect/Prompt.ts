/**
 * An input line with the history of earlier sessions. Output is written above it while it is edited.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Cause from "effect/Cause"
import type * as Scope from "effect/Scope"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import * as Readline from "node:readline"
import type { Style } from "../terminal/Style.ts"

const historySize = 1000

/** The path of the history; `undefined` if `EFFECT_WS_HISTORY` is set and empty. */
const historyFile = (): string | undefined => {
  const given = process.env["EFFECT_WS_HISTORY"]
  if (given !== undefined) return given === "" ? undefined : given
  return join(process.env["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state"), "effect-ws", "history")
}

/** The latest line first, as readline wants it. */
const readHistory = (file: string | undefined): Array<string> => {
  if (file === undefined) return []
  try {
    return readFileSync(file, "utf8").split("\n").filter((line) => line !== "").slice(-historySize).toReversed()
  } catch {
    return []
  }
}

const writeHistory = (file: string | undefined, history: ReadonlyArray<string>): void => {
  if (file === undefined) return
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    // Typed lines may hold passwords, so only their user may read them.
    writeFileSync(file, history.toReversed().join("\n") + "\n", { mode: 0o600 })
  } catch {
    // Without a writable home there is no history.
  }
}

export interface Prompt {
  /** The lines that are typed. It ends when the user leaves. */
  readonly lines: Queue.Dequeue<string, Cause.Done>
  /** Writes a line above the prompt. */
  readonly write: (text: string) => void
  readonly columns: () => number
  /** Removes the prompt. `write` still works afterwards. */
  readonly end: () => void
}

export const make = (
  style: Style,
  complete: (line: string) => [Array<string>, string]
): Effect.Effect<Prompt, never, Scope.Scope> =>
  Effect.gen(function*() {
    const lines = yield* Queue.unbounded<string, Cause.Done>()
    const file = historyFile()
    let history = readHistory(file)
    const { stdin, stdout } = process
    const readline = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Readline.createInterface({
          input: stdin,
          output: stdout,
          prompt: style.bold("> "),
          history,
          historySize,
          removeHistoryDuplicates: true,
          completer: complete
        })
      ),
      (readline) =>
        Effect.sync(() => {
          readline.close()
          writeHistory(file, history)
          stdin.unref?.()
        })
    )
    let isClosed = false
    let isAsking = false
    let isLeft = false
    const ask = () => {
      if (isClosed) return
      isAsking = true
      readline.prompt(true)
    }
    readline.on("history", (entries) => {
      history = entries
    })
    readline.on("line", (line) => {
      if (line !== "") Queue.offerUnsafe(lines, line)
      ask()
    })
    readline.on("SIGINT", () => {
      // As in shells: Ctrl-C clears the line first; on an empty line it leaves.
      if (readline.line === "") return readline.close()
      readline.write(null, { ctrl: true, name: "e" })
      readline.write(null, { ctrl: true, name: "u" })
    })
    readline.on("close", () => {
      // The cursor is after the prompt, unless `end` removed it.
      if (isAsking && !isLeft) stdout.write("\n")
      isClosed = true
      Queue.endUnsafe(lines)
    })
    const clear = () => {
      const { rows } = readline.getCursorPos()
      Readline.moveCursor(stdout, 0, -rows)
      Readline.cursorTo(stdout, 0)
      Readline.clearScreenDown(stdout)
    }
    return {
      lines,
      write: (text) => {
        if (isAsking && !isClosed) clear()
        stdout.write(`${text}\n`)
        ask()
      },
      columns: () => stdout.columns,
      end: () => {
        if (isClosed) return
        if (isAsking) clear()
        isLeft = true
        readline.close()
      }
    }
  })
