/**
 * Group 9, limits and performance: large messages whole, in fragments and in
 * small chops, and a thousand round trips. The content is compared, not only
 * its length.
 */
import { Binary, Text } from "../wire/Frames.ts"
import {
  awaitEvents,
  type Case,
  type Chop,
  clean,
  type Expected,
  fill,
  fragments,
  frame,
  makeCase,
  type Script,
  send
} from "./Case.ts"

const KiB = 1024
const MiB = 1024 * KiB

interface Kind {
  readonly name: string
  readonly opcode: number
  /** The patterns of the published suite: for whole messages, and for fragments and round trips. */
  readonly whole: string | Uint8Array
  readonly plain: string | Uint8Array
}

const textKind: Kind = { name: "Text", opcode: Text, whole: "BAsd7&jh23", plain: "*" }
const binaryKind: Kind = {
  name: "Binary",
  opcode: Binary,
  whole: Uint8Array.of(0x00, 0xfe, 0x23, 0xfa, 0xf0),
  plain: Uint8Array.of(0xfe)
}

const size = (octets: number): string =>
  octets >= MiB ? `${octets / MiB} MiB` : octets >= KiB ? `${octets / KiB} KiB` : `${octets} octets`

const echo = (kind: Kind, payload: Uint8Array): Expected => ({
  _tag: "Message",
  binary: kind.opcode === Binary,
  payload
})

const heavy = { heavy: true } as const

const whole = (kind: Kind, length: number, chop?: Chop) => (): Script => {
  const payload = fill(kind.whole, length)
  return clean([send([frame(kind.opcode, payload)], chop)], [echo(kind, payload)])
}

const inFragments = (kind: Kind, length: number, fragment: number) => (): Script => {
  const payload = fill(kind.plain, length)
  return clean([send(fragments(kind.opcode, payload, fragment))], [echo(kind, payload)])
}

const roundTrips = (kind: Kind, length: number, count: number) => (): Script => {
  const payload = fill(kind.plain, length)
  const step = send([frame(kind.opcode, payload)])
  return clean(
    Array.from({ length: count }, (_, index) => [step, awaitEvents("echo", index + 1)]).flat(),
    Array.from({ length: count }, () => echo(kind, payload))
  )
}

const lengths = [64 * KiB, 256 * KiB, MiB, 4 * MiB, 8 * MiB, 16 * MiB]
const fragmentSizes = [64, 256, KiB, 4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB, 4 * MiB]
const chopSizes = [64, 128, 256, 512, 1024, 2048]
const tripSizes = [0, 16, 64, 256, 1024, 4096]

const both = (
  first: number,
  make: (kind: Kind, id: string) => ReadonlyArray<Case>
): ReadonlyArray<Case> => [...make(textKind, `9.${first}`), ...make(binaryKind, `9.${first + 1}`)]

export const group9: ReadonlyArray<Case> = [
  ...both(1, (kind, id) =>
    lengths.map((length, index) =>
      makeCase(`${id}.${index + 1}`, `${kind.name} message of ${size(length)}`, whole(kind, length), heavy)
    )),
  ...both(3, (kind, id) =>
    fragmentSizes.map((fragment, index) =>
      makeCase(
        `${id}.${index + 1}`,
        `${kind.name} message of 4 MiB in fragments of ${size(fragment)}`,
        inFragments(kind, 4 * MiB, fragment),
        heavy
      )
    )),
  ...both(5, (kind, id) =>
    chopSizes.map((chop, index) =>
      makeCase(
        `${id}.${index + 1}`,
        `${kind.name} message of 1 MiB in chops of ${size(chop)}`,
        whole(kind, MiB, chop),
        heavy
      )
    )),
  ...both(7, (kind, id) =>
    tripSizes.map((length, index) =>
      makeCase(
        `${id}.${index + 1}`,
        `1000 ${kind.name.toLowerCase()} messages of ${size(length)}, each after the last one's echo`,
        roundTrips(kind, length, 1000),
        heavy
      )
    ))
]
