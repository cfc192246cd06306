/**
 * The budget that a program provides, without the one that a process has by default: a page has a few
 * connections, and does not load what bounds ten thousand.
 */
import * as Context from "effect/Context"
import type { Budget } from "./MemoryBudget.ts"

/** The key of `MemoryBudget.CurrentBudget`. */
export const budgetKey = "@effect-ws/core/MemoryBudget/CurrentBudget"

export const ProvidedBudget: Context.Reference<Budget | undefined> = Context.Reference<Budget | undefined>(budgetKey, {
  defaultValue: () => undefined
})
