/** What is sent: the same for the same seed, of every kind and size that a connection has to carry. */
import { randomFillSync } from "node:crypto"
import type { Body } from "./payload.ts"

/** Pseudo-random numbers below 1 (mulberry32). */
export type Random = () => number

export const makeRandom = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const between = (random: Random, least: number, most: number): number =>
  least + Math.floor(random() * (most - least + 1))

/** Picks by weight. */
export const pick = <A>(random: Random, choices: ReadonlyArray<readonly [weight: number, choice: A]>): A => {
  let left = random() * choices.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, choice] of choices) {
    left -= weight
    if (left < 0) return choice
  }
  return choices.at(-1)![1]
}

const KiB = 1024

// Contents are cut out of these, since the soak is not to measure how fast they are made.
const noise = randomFillSync(new Uint8Array(4 * KiB * KiB))
const alphabet = [..."abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 "]
const letters = Array.from(noise.subarray(0, 1024 * KiB), (byte) => alphabet[byte % alphabet.length]).join("")
const characters = [..."aäßжЩ語界日本€한🦊🎉z"]
const points = Array.from(noise.subarray(0, 64 * KiB), (byte) => characters[byte % characters.length]!)
const rows = Array.from({ length: 2000 }, (_, i) => JSON.stringify({ id: i, price: (i * 7919) % 1000, symbol: "EFCT" })).join(",")

const cut = (random: Random, text: string, length: number): string => {
  const at = between(random, 0, text.length - length)
  return text.slice(at, at + length)
}

const bytes = (random: Random, length: number): Uint8Array => {
  const at = between(random, 0, noise.length - length)
  return noise.subarray(at, at + length)
}

/** Bodies of one kind. */
interface Kind {
  readonly name: string
  readonly make: (random: Random) => Body
}

const kinds = {
  letters: { name: "text", make: (random) => cut(random, letters, between(random, 0, 125)) },
  points: {
    name: "text, not ASCII",
    make: (random) => {
      const length = between(random, 1, 2000)
      const at = between(random, 0, points.length - length)
      return points.slice(at, at + length).join("")
    }
  },
  json: { name: "JSON", make: (random) => cut(random, rows, between(random, 200, 8000)) },
  small: { name: "binary to 1 KiB", make: (random) => bytes(random, between(random, 0, KiB)) },
  medium: { name: "binary to 64 KiB", make: (random) => bytes(random, between(random, KiB, 64 * KiB)) },
  large: { name: "binary to 1 MiB", make: (random) => bytes(random, between(random, 64 * KiB, 1023 * KiB)) },
  page: { name: "text to 512 KiB", make: (random) => cut(random, letters, between(random, 64 * KiB, 512 * KiB)) },
  huge: { name: "binary to 3 MiB, streamed", make: (random) => bytes(random, between(random, 1024 * KiB, 3 * 1024 * KiB)) }
} satisfies Record<string, Kind>

const emptyText: Kind = { name: "empty text", make: () => "" }
const emptyBinary: Kind = { name: "empty binary", make: () => new Uint8Array(0) }

/** `empty` messages carry nothing, not even a head. */
export interface Drawn {
  readonly kind: string
  readonly body: Body
  readonly empty: boolean
}

const draw = (choices: ReadonlyArray<readonly [number, Kind]>) => (random: Random): Drawn => {
  const kind = pick(random, choices)
  return { kind: kind.name, body: kind.make(random), empty: kind === emptyText || kind === emptyBinary }
}

/** What connections of each style send. */
export const draws = {
  messages: draw([
    [32, kinds.letters],
    [12, kinds.points],
    [16, kinds.json],
    [16, kinds.small],
    [12, kinds.medium],
    [2, kinds.large],
    [1, kinds.page],
    [4, emptyText],
    [4, emptyBinary]
  ]),
  streams: draw([[30, kinds.letters], [20, kinds.medium], [10, kinds.points], [10, kinds.page], [10, kinds.huge], [5, emptyText], [5, emptyBinary]]),
  idle: draw([[3, kinds.letters], [1, kinds.json], [1, kinds.small]])
}

/** Cuts a body into fragments; texts between code points. */
export const fragments = <B extends Body>(random: Random, body: B, most: number): ReadonlyArray<B> => {
  const parts: Array<B> = []
  const step = Math.max(1, Math.ceil(body.length / between(random, 1, most)))
  for (let at = 0; at < body.length;) {
    let end = Math.min(body.length, at + step)
    if (typeof body === "string" && end < body.length) {
      const unit = body.charCodeAt(end)
      if (unit >= 0xdc00 && unit <= 0xdfff) end++
    }
    parts.push((typeof body === "string" ? body.slice(at, end) : body.subarray(at, end)) as B)
    at = end
  }
  return parts
}
