/** All cases, in the order of their numbers. */
import { group1 } from "./Group1.ts"
import { group2 } from "./Group2.ts"
import { group3 } from "./Group3.ts"
import { group4 } from "./Group4.ts"
import { group5 } from "./Group5.ts"
import { group6 } from "./Group6.ts"
import { group7 } from "./Group7.ts"
import { group9 } from "./Group9.ts"
import { group10 } from "./Group10.ts"
import { group12 } from "./Group12.ts"
import { group13 } from "./Group13.ts"
import { groupD } from "./GroupD.ts"
import type { Case } from "./Case.ts"

export interface Group {
  readonly title: string
  readonly cases: ReadonlyArray<Case>
}

export const groups: ReadonlyArray<Group> = [
  { title: "1 Framing", cases: group1 },
  { title: "2 Pings and pongs", cases: group2 },
  { title: "3 Reserved bits", cases: group3 },
  { title: "4 Opcodes", cases: group4 },
  { title: "5 Fragmentation", cases: group5 },
  { title: "6 UTF-8", cases: group6 },
  { title: "7 Close", cases: group7 },
  { title: "9 Limits and performance", cases: group9 },
  { title: "10 Fragmentation by the sender", cases: group10 }
]

export const cases: ReadonlyArray<Case> = groups.flatMap((group) => group.cases)

/** permessage-deflate: their subjects have it, those of the other groups have no extension. */
export const compressionGroups: ReadonlyArray<Group> = [
  { title: "12 Compression of different data", cases: group12 },
  { title: "13 Parameters of compression", cases: group13 },
  { title: "D Compression beyond the published cases", cases: groupD }
]

export const compressionCases: ReadonlyArray<Case> = compressionGroups.flatMap((group) => group.cases)
