/** Bytes against the machine, in both roles: any chunks, any owner of them, any reader; held against the reference. */
import { sharedBuffer } from "../../src/Primitives.ts"
import * as Protocol from "../../src/Protocol.ts"
import { rules } from "../../src/protocol/Violation.ts"
import { ProtocolError } from "../../src/WebSocketError.ts"
import { concat, stream } from "./Grammar.ts"
import { Random } from "./Random.ts"
import { readInto } from "./Reading.ts"
import { type Limits, type Meaning, read } from "./Reference.ts"
import { Choices, expect, same, sameAll, show, type Target } from "./Target.ts"

export type Role = "client" | "server"

const roles = ["server", "client"] as const
// `shared` is scratch in the memory that sockets are read into, where other code unmasks.
const owners = ["owned", "scratch", "borrowed", "shared"] as const
const readers = ["message", "fragments", "late"] as const
const limits: ReadonlyArray<Limits> = [
  { maxMessageSize: 1024 * 1024, fragments: { charge: 64, max: 131_072 } },
  { maxMessageSize: 256, fragments: { charge: 64, max: 4 } },
  { maxMessageSize: 1000, fragments: { charge: 0, max: 131_072 } },
  { maxMessageSize: 0, fragments: { charge: 1, max: 2 } }
]

export interface Outcome {
  readonly messages: ReadonlyArray<string | Uint8Array>
  readonly pings: ReadonlyArray<Uint8Array>
  readonly pongs: ReadonlyArray<Uint8Array>
  readonly ending: Protocol.Ending | undefined
  readonly partial: boolean
}

export interface Setting {
  readonly role: Role
  readonly owner: (typeof owners)[number]
  readonly reader: (typeof readers)[number]
  readonly limits: Limits
}

const shared = sharedBuffer(512 * 1024)
let nextOffset = 0

/** The same bytes in shared memory, at another alignment each time. */
const inSharedMemory = (chunk: Uint8Array): Uint8Array => {
  nextOffset = (nextOffset + 5) % 64
  if (chunk.length + nextOffset > shared.length) return chunk
  const view = shared.subarray(nextOffset, nextOffset + chunk.length)
  view.set(chunk)
  return view
}

/** What the machine makes of chunks. They are given away: what is borrowed is destroyed behind it. */
export const receive = (chunks: Iterable<Uint8Array>, { limits, owner, reader, role }: Setting): Outcome => {
  const pings: Array<Uint8Array> = []
  const pongs: Array<Uint8Array> = []
  const messages: Array<string | Uint8Array> = []
  const protocol = Protocol.make({
    role,
    chunks: owner === "shared" ? "scratch" : owner,
    limits: { ...limits, maxStreamedMessageSize: limits.maxMessageSize, inboundHighWaterMark: 1 },
    onPing: (payload) => pings.push(payload),
    onPong: (payload) => pongs.push(payload)
  })
  const take = readInto(messages, protocol, reader === "fragments" ? "fragments" : "message")
  if (reader !== "late") take()
  for (const given of chunks) {
    const chunk = owner === "shared" ? inSharedMemory(given) : given
    // One step for each byte and each decision would be too many by far already.
    let steps = 0
    for (let at = protocol.receive(chunk); ; at = protocol.receive(chunk, at)) {
      expect(at <= chunk.length, () => `read ${at} of ${chunk.length} bytes`)
      if (protocol.stopped === undefined) {
        expect(at === chunk.length, () => `stopped at ${at} of ${chunk.length} without saying why`)
        break
      }
      expect(++steps < 2 * chunk.length + 8, () => `makes no progress: ${protocol.stopped}`)
      take()
    }
    if (reader === "fragments" || reader === "message") take()
    if (owner !== "owned") chunk.fill(0xee)
  }
  take()
  // The end of one streamed message is where whole ones behind it can be had.
  take()
  return { messages, pings, pongs, ending: protocol.ending, partial: protocol.isPartial }
}

export const chop = (bytes: Uint8Array, seed: number): Array<Uint8Array> => {
  const random = new Random(seed)
  // Large ones in no more than some hundred chunks: millions of inputs are tried.
  const most = Math.max(random.pick([1, 2, 3, 8, 40, 1000]), bytes.length >> 7)
  const chunks: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random.below(most)
    chunks.push(bytes.slice(at, end))
    at = end
  }
  return chunks
}

const showEnding = (ending: Protocol.Ending | undefined): string =>
  ending === undefined ? "none" : ending._tag === "Close" ? `${ending.code} ${ending.reason}` : `violation ${ending.error.code} ${ending.error.rule}`

export const isTyped = (ending: Protocol.Ending | undefined): boolean => {
  if (ending?._tag !== "Violation") return true
  const { error } = ending
  return error instanceof ProtocolError && error.rule in rules &&
    rules[error.rule as keyof typeof rules].code === error.code && [1002, 1007, 1009].includes(error.code)
}

/** Two ways to give the same bytes give the same. */
const agree = (a: Outcome, b: Outcome, how: string): void => {
  expect(sameAll(a.messages, b.messages), () => `${how}: messages ${show(a.messages)} and ${show(b.messages)}`)
  expect(sameAll(a.pings, b.pings), () => `${how}: pings ${show(a.pings)} and ${show(b.pings)}`)
  expect(sameAll(a.pongs, b.pongs), () => `${how}: pongs ${show(a.pongs)} and ${show(b.pongs)}`)
  expect(showEnding(a.ending) === showEnding(b.ending), () => `${how}: ${showEnding(a.ending)} and ${showEnding(b.ending)}`)
  if (a.ending === undefined) expect(a.partial === b.partial, () => `${how}: partial ${a.partial} and ${b.partial}`)
}

/** Holds an outcome against what the bytes mean. */
const compare = (got: Outcome, meaning: Meaning): void => {
  expect(isTyped(got.ending), () => `untyped: ${showEnding(got.ending)}`)
  expect(sameAll(got.messages, meaning.messages), () => `messages ${show(got.messages)}, not ${show(meaning.messages)}`)
  expect(sameAll(got.pings, meaning.pings), () => `pings ${show(got.pings)}, not ${show(meaning.pings)}`)
  expect(sameAll(got.pongs, meaning.pongs), () => `pongs ${show(got.pongs)}, not ${show(meaning.pongs)}`)
  const { ending } = meaning
  const is = () => `${showEnding(got.ending)}, not ${JSON.stringify(ending)} (early ${meaning.early})`
  if (ending === undefined) {
    const early = got.ending?._tag === "Violation" && got.ending.error.code === meaning.early
    expect(got.ending === undefined || early, is)
    if (got.ending === undefined) expect(got.partial === meaning.partial, () => `partial ${got.partial}`)
  } else if ("violation" in ending) {
    expect(got.ending?._tag === "Violation" && got.ending.error.code === ending.violation, is)
  } else {
    expect(got.ending?._tag === "Close" && got.ending.code === ending.code && same(got.ending.reason, ending.reason), is)
  }
}

const setting = (choices: Choices): Setting => ({
  role: choices.pick(roles),
  owner: choices.pick(owners),
  reader: choices.pick(readers),
  limits: choices.pick(limits)
})

export const receiving: Target = {
  name: "receiving",
  generate: (random) => {
    const head = random.bytes(6)
    return concat([head, stream(random, roles[head[0] % 2] === "server" ? "client" : "server")])
  },
  run: (input) => {
    const choices = new Choices(input)
    const given = setting(choices)
    const seed = choices.byte() * 256 + choices.byte()
    const bytes = choices.rest()
    const meaning = read(bytes, given.role, given.limits)
    const whole = receive([bytes.slice()], given)
    compare(whole, meaning)
    // One other way for each input: there are enough inputs.
    const way = seed % 4
    if (way === 0 && bytes.length <= 256) {
      agree(whole, receive(Array.from(bytes, (byte) => Uint8Array.of(byte)), given), "byte by byte")
    } else {
      const other = { ...given, owner: owners[(input[1] + way) % owners.length], reader: readers[(input[2] + (seed >> 2)) % readers.length] }
      agree(whole, receive(chop(bytes, seed), other), `in chunks, ${other.owner}, ${other.reader}`)
    }
  }
}
