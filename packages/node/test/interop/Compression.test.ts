/** permessage-deflate with real peers, in the combinations of parameters that they support. */
import { assert, it } from "@effect/vitest"
import type { Message, PerMessageDeflate } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { asClient, asServer, type OpenPair, type PairOptions } from "./ours.ts"
import type { Ability, Deflate, Found, PeerClient, PeerServer } from "./peer.ts"
import { chromiumClient } from "./peers/chromium.ts"
import { pythonClient, pythonServer } from "./peers/python.ts"
import { nodeClient, undiciClient } from "./peers/whatwg.ts"
import { wsClient, wsServer } from "./peers/ws.ts"
import { withPeer } from "./withPeer.ts"

const KiB = 1024

const checksum = (message: Message.Message): string => {
  const hash = createHash("sha256").update(message).digest("hex")
  return `${typeof message === "string" ? "text" : "binary"} ${message.length} ${hash}`
}

/** Numbers that do not compress, the same each time. */
const noise = (size: number): Uint8Array => {
  let state = size | 1
  return Uint8Array.from({ length: size }, () => {
    state = (Math.imul(state, 1103515245) + 12345) | 0
    return state >>> 16
  })
}

const record = (i: number) => JSON.stringify({ id: i, name: `user ${i % 10}`, tags: ["a", "b"], text: "lorem ipsum ".repeat(i % 90) })

// What repeats earlier messages makes a lost or misplaced window show.
const messages: ReadonlyArray<Message.Message> = [
  "hello",
  "",
  new Uint8Array(0),
  "hello",
  ...Array.from({ length: 30 }, (_, i) => record(i)),
  noise(1),
  noise(3000),
  "ß→𝄞\u0000".repeat(500),
  "a".repeat(300 * KiB),
  new Uint8Array(700 * KiB).fill(7),
  noise(200 * KiB),
  ...Array.from({ length: 30 }, (_, i) => record(i * 3)),
  noise(3000)
]

const texts = Array.from({ length: 20 }, (_, i) => record(i * 5))
const binaries = Array.from({ length: 20 }, (_, i) => i % 2 === 0 ? noise(i * 300) : new Uint8Array(i * 300))
const joined = [texts.join(""), new Uint8Array(Buffer.concat(binaries))]

const exchange = (open: OpenPair, abilities: ReadonlySet<Ability>, options: PairOptions) =>
  Effect.gen(function*() {
    const { ours, peer } = yield* open(options)
    assert.strictEqual(ours.extension, "permessage-deflate")
    const wanted = [...messages, ...joined, "last"].map(checksum)
    const got = async () => {
      const seen: Array<string> = []
      while (seen.length < wanted.length) seen.push(checksum(await peer.message()))
      return seen
    }
    const give = Effect.gen(function*() {
      yield* ours.sendAll(messages)
      yield* ours.sendTextStream(Stream.fromIterable(texts))
      yield* ours.sendBinaryStream(Stream.fromIterable(binaries))
      yield* ours.send("last")
    })
    const [, there] = yield* Effect.all([give, Effect.promise(got)], { concurrency: 2 })
    assert.deepStrictEqual(there, wanted)

    const fragmented = abilities.has("fragments")
    peer.send(messages)
    peer.send(fragmented ? [{ fragments: texts }, { fragments: binaries }, "last"] : [...joined, "last"])
    const here: Array<string> = []
    while (here.length < wanted.length) here.push(checksum(yield* ours.receive))
    assert.deepStrictEqual(here, wanted)
    assert.isTrue((yield* ours.close(1000)).clean)
  })

const flags: ReadonlyArray<Deflate> = [
  {},
  { serverNoContextTakeover: true },
  { clientNoContextTakeover: true },
  { serverNoContextTakeover: true, clientNoContextTakeover: true }
]

const bits: ReadonlyArray<Deflate> = [
  {},
  { serverMaxWindowBits: 9 },
  { clientMaxWindowBits: 9 },
  { serverMaxWindowBits: 9, clientMaxWindowBits: 15 },
  { serverMaxWindowBits: 9, clientMaxWindowBits: 9 }
]

const levels = [1, 6, 9]

const combinations: ReadonlyArray<Deflate> = flags.flatMap((flag, i) =>
  bits.map((bit, j) => ({ ...flag, ...bit, level: levels[(i + j) % levels.length]! }))
)

const own: ReadonlyArray<PerMessageDeflate.Options> = [
  {},
  { level: 9, memLevel: 1 },
  { noContextTakeover: { own: true } },
  { noContextTakeover: { peer: true } },
  { noContextTakeover: { own: true, peer: true }, level: 1 },
  { windowBits: { own: 9 } },
  { windowBits: { peer: 9 } },
  { windowBits: { own: 9, peer: 9 }, noContextTakeover: { own: true, peer: true } }
]

const show = (options: object): string =>
  Object.entries(options).map(([name, value]) =>
    typeof value === "object" ? `${name} {${show(value as object)}}` : value === true ? name : `${name} ${String(value)}`
  ).join(", ") || "the default"

const test = <A extends PeerClient | PeerServer>(
  title: string,
  found: Found<A>,
  openOf: (peer: A) => OpenPair,
  more: ReadonlyArray<Deflate> = []
): void =>
  withPeer(title, found, (peer) => {
    const chosen = found.abilities.has("deflateParameters")
    const deflate = chosen ? {} : undefined
    const it1 = (what: string, options: PairOptions) =>
      it.live(what, () => exchange((given) => openOf(peer())(given), found.abilities, options), 30_000)

    for (const compression of own) {
      it1(`we: ${show(compression)}`, { deflate, compression: { threshold: 0, ...compression } })
    }
    it1("we: by our own threshold", { deflate, compression: true })
    if (!chosen) return
    for (const deflate of [...combinations, ...more]) {
      it1(`the peer: ${show(deflate)}`, { deflate, compression: { threshold: 0 } })
    }
  })

test("our server compresses with", wsClient, asServer)
test("our server compresses with", undiciClient, asServer)
test("our server compresses with", nodeClient, asServer)
test("our server compresses with", pythonClient, asServer)
test("our server compresses with", chromiumClient, asServer)
// 8 is in the standard, and zlib cannot make it: what such a peer sends fits 9, and we send it nothing compressed.
test("our client compresses with", wsServer, asClient, [{ serverMaxWindowBits: 8 }, { clientMaxWindowBits: 8 }])
test("our client compresses with", pythonServer, asClient, [{ clientMaxWindowBits: 8 }])
