/**
 * Which cases to play: a list such as `1,6.4,12.*`, in which each element is a case, or the beginning of its number.
 */
import type { Case } from "./cases/Case.ts"
import { compressionGroups, groups } from "./cases/Cases.ts"

/** All cases of both kinds, in the order of their numbers. */
export const allGroups = [...groups, ...compressionGroups]
export const allCases: ReadonlyArray<Case> = allGroups.flatMap((group) => group.cases)

const patternsOf = (list: string): ReadonlyArray<string> =>
  list.split(",").map((pattern) => pattern.trim()).filter((pattern) => pattern !== "")

const matches = (pattern: string) => {
  const start = pattern.endsWith("*") ? pattern.slice(0, -1) : pattern
  const prefix = start.endsWith(".") || start === "" ? start : `${start}.`
  return ({ id }: Case): boolean => id === start || id.startsWith(prefix)
}

/** The cases that a list names; throws for an element that names none. */
export const select = (list: string, from: ReadonlyArray<Case> = allCases): ReadonlyArray<Case> => {
  const patterns = patternsOf(list)
  const wanted = new Set<Case>()
  for (const pattern of patterns) {
    const found = allCases.filter(matches(pattern))
    if (found.length === 0) throw new Error(`there is no case ${pattern}; groups are 1 to 7, 9, 10, 12, 13 and D`)
    for (const item of found) wanted.add(item)
  }
  return from.filter((item) => wanted.has(item))
}

/** The cases of one list without those of another. */
export const choose = (include: string, exclude: string): ReadonlyArray<Case> => {
  const excluded = new Set(exclude.trim() === "" ? [] : select(exclude))
  return select(include).filter((item) => !excluded.has(item))
}
