/** What groups 12 and 13 have in common: eighteen sizes, and messages that go out compressed and must come back. */
import { Binary, Text } from "../wire/Frames.ts"
import type { Corpus } from "./Corpora.ts"
import { type Case, clean, makeCase, type Negotiation } from "./Case.ts"

const KiB = 1024

/** How many messages a case sends, as published. */
const published = 1000

/**
 * A sample has 20 messages, or as many as fit into 256 KiB, and at least 4. A compressor forgets what lies further back
 * than its largest window, 32 KiB, so each size whose messages fill the window still passes through it several times.
 */
const sampleOf = (length: number): number => Math.max(4, Math.min(20, Math.floor(256 * KiB / length)))

const sizes: ReadonlyArray<readonly [length: number, fragment: number]> = [
  [16, 0],
  [64, 0],
  [256, 0],
  [1024, 0],
  [4096, 0],
  [8192, 0],
  [16384, 0],
  [32768, 0],
  [65536, 0],
  [131072, 0],
  [8192, 256],
  [16384, 256],
  [32768, 256],
  [65536, 256],
  [131072, 256],
  [131072, 1024],
  [131072, 4096],
  [131072, 32768]
]

/** Below this, not to compress may be the better choice. */
const worthwhile = 256

export const echoes = (id: string, what: string, corpus: Corpus, negotiation: Negotiation): ReadonlyArray<Case> =>
  sizes.map(([length, fragment], index) =>
    makeCase(
      `${id}.${index + 1}`,
      `${what}, messages of ${length}` + (fragment === 0 ? "" : ` in fragments of ${fragment}`),
      () => ({
        ...clean([{
          _tag: "Echoes",
          opcode: corpus.binary ? Binary : Text,
          count: published,
          sample: sampleOf(length),
          fragment,
          message: (index) => corpus.message(index, length)
        }], []),
        ...(length < worthwhile ? {} : { deflates: true })
      }),
      { negotiation }
    )
  )
