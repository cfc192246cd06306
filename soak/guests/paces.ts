/** How slow peers read. */
import { pick, type Random } from "../traffic.ts"

/**
 * How it reads, in milliseconds between two reads of at most 64 KiB. All of them take longer than the close deadline (5 s)
 * for 4 MiB, and are never silent for half of that.
 */
export const paces = {
  "steadily, but slowly": () => 120,
  "slowly at the end": (bytes: number) => bytes < 2 ** 20 ? 0 : 160,
  "after a rest of 2 s": (bytes: number) => bytes === 0 ? 2000 : 60
}

export type Pace = keyof typeof paces

export const drawPace = (random: Random): Pace =>
  pick(random, [[2, "steadily, but slowly"], [1, "slowly at the end"], [1, "after a rest of 2 s"]] as const)
