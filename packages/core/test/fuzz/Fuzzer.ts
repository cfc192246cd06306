/** Tries inputs on a target until there is a finding, and makes that as small as it gets. */
import { mutate } from "./Grammar.ts"
import { Random } from "./Random.ts"
import type { Target } from "./Target.ts"

export interface Found {
  readonly input: Uint8Array
  readonly error: unknown
}

/** What goes wrong with an input, if something does. */
export const failureOf = (target: Target, input: Uint8Array): Found | undefined => {
  try {
    target.run(input)
    return undefined
  } catch (error) {
    return { input, error }
  }
}

/**
 * The next input of a seed: fresh, or a mutation of one that was worth keeping. The same seed, number and corpus give
 * the same input.
 */
export const inputOf = (target: Target, seed: number, index: number, corpus: ReadonlyArray<Uint8Array>): Uint8Array => {
  const random = new Random(seed * 2 ** 32 + index)
  if (corpus.length === 0 || random.chance(2)) return target.generate(random)
  return mutate(random, random.pick(corpus), random.pick(corpus))
}

// Every candidate is run, so that a large finding takes seconds at most.
const maxCandidates = 20_000

/** A smaller input with the same fate: parts are left out, then bytes made 0. */
export const shrink = (target: Target, found: Found): Found => {
  let best = found
  let candidates = 0
  const attempt = (input: Uint8Array): boolean => {
    if (candidates++ >= maxCandidates) return false
    const failure = failureOf(target, input)
    if (failure === undefined) return false
    best = failure
    return true
  }
  for (let before = -1; before !== best.input.length;) {
    before = best.input.length
    for (let size = before >> 1; size > 0; size >>= 1) {
      for (let at = 0; at + size <= best.input.length;) {
        const { input } = best
        const rest = new Uint8Array(input.length - size)
        rest.set(input.subarray(0, at))
        rest.set(input.subarray(at + size), at)
        if (!attempt(rest)) at += size
      }
    }
  }
  for (let at = 0; at < best.input.length; at++) {
    for (const value of [0, 1, best.input[at] & 0x0f]) {
      if (best.input[at] <= value) continue
      const simpler = best.input.slice()
      simpler[at] = value
      if (attempt(simpler)) break
    }
  }
  return best
}

/** Errors are made by the thousand here, and where each comes from costs more than all the rest. */
export const withoutStacks = <A>(run: () => A): A => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return run()
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** Runs `count` inputs; the first finding, made small. */
export const fuzz = (
  target: Target,
  options: { readonly seed: number; readonly count: number; readonly from?: number; readonly corpus?: ReadonlyArray<Uint8Array> }
): Found | undefined =>
  withoutStacks(() => {
    const { corpus = [], count, from = 0, seed } = options
    for (let index = from; index < from + count; index++) {
      const found = failureOf(target, inputOf(target, seed, index, corpus))
      if (found !== undefined) return shrink(target, found)
    }
    return undefined
  })
