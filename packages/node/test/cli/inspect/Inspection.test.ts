/** What is seen of bytes that pass by: frames, messages, and the rules that are broken. */
import { assert, describe, it } from "@effect/vitest"
import { constants, deflateRawSync } from "node:zlib"
import { Inspection } from "../../../src/cli/inspect/Inspection.ts"
import type { Observation, Side } from "../../../src/cli/inspect/Observation.ts"
import * as Recording from "../../../src/cli/inspect/Recording.ts"
import * as Show from "../../../src/cli/inspect/Show.ts"
import { plain } from "../../../src/cli/terminal/Style.ts"
import { encode, type FrameSpec } from "../../../src/conformance/wire/Frames.ts"

const request = (extensions?: string): Recording.Event => ({
  event: "head",
  at: 1,
  connection: 1,
  from: "client",
  start: "GET /feed HTTP/1.1",
  headers: [
    ["Host", "a.example"],
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
    ["Sec-WebSocket-Version", "13"],
    ...(extensions === undefined ? [] : [["Sec-WebSocket-Extensions", extensions] as const])
  ]
})

const answer = (extensions?: string, accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="): Recording.Event => ({
  event: "head",
  at: 2,
  connection: 1,
  from: "server",
  start: "HTTP/1.1 101 Switching Protocols",
  headers: [
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Accept", accept],
    ...(extensions === undefined ? [] : [["Sec-WebSocket-Extensions", extensions] as const])
  ]
})

const inspect = (events: ReadonlyArray<Recording.Event>): ReadonlyArray<Observation> => {
  const inspection = new Inspection()
  return events.flatMap((event) => inspection.take(event))
}

const frames = (from: Side, ...specs: ReadonlyArray<FrameSpec>): Recording.Event =>
  Recording.bytesEvent(3, 1, from, encode(specs, from === "client"))

const open = (extensions?: string) => [request(extensions), answer(extensions)]
const shown = (observations: ReadonlyArray<Observation>) =>
  observations.flatMap((observation) => Show.lines(observation, { style: plain, columns: 120, isFull: false }))
    .filter((line) => line.includes("→") || line.includes("←") || line.includes("✗"))
    .map((line) => line.replace(/^#1\s+[\d.]+ /, "").replaceAll(/ +/g, " ").replace(/✗ .*\(/, "✗ ("))
const rulesOf = (observations: ReadonlyArray<Observation>) =>
  observations.flatMap(({ broken }) => broken.map(({ rule, section }) => `${rule} ${section}`))

const text = Buffer.from("Hello")
const rsv1 = { rsv: 4 }
const deflated = (data: Uint8Array, dictionary?: Uint8Array) =>
  deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, ...(dictionary && { dictionary }) }).subarray(0, -4)

describe("Inspection", () => {
  it("shows handshake, frames of both directions, their flags, and the end", () => {
    const observations = inspect([
      ...open(),
      frames("client", { opcode: 1, payload: text }),
      frames("server", { opcode: 2, payload: Buffer.from([1, 2]), fin: false }, { opcode: 9, payload: text }, {
        opcode: 0,
        payload: Buffer.from([3])
      }),
      frames("server", { opcode: 8, payload: Buffer.from([3, 232, 98, 121, 101]) }),
      { event: "end", at: 4, connection: 1, from: "server", how: "ended TCP" }
    ])
    assert.deepStrictEqual(shown(observations), [
      "→ GET /feed HTTP/1.1",
      "← HTTP/1.1 101 Switching Protocols",
      "→ text FIN MASK 5 B Hello",
      "← binary 2 B 01 02",
      "← ping FIN 5 B 48 65 6c 6c 6f",
      "← continuation FIN 1 B, message 3 B 01 02 03",
      "← close FIN 5 B 1000 Normal Closure: bye",
      "← ended TCP"
    ])
    assert.deepStrictEqual(rulesOf(observations), [])
  })

  it("sees the same frames however the bytes are cut", () => {
    const whole = encode([{ opcode: 1, payload: Buffer.alloc(300, "a") }, { opcode: 9, payload: text }], true)
    const want = shown(inspect([...open(), Recording.bytesEvent(3, 1, "client", whole)]))
    for (const size of [1, 2, 3, 7, 100]) {
      const pieces: Array<Recording.Event> = []
      for (let at = 0; at < whole.length; at += size) {
        pieces.push(Recording.bytesEvent(3, 1, "client", whole.subarray(at, at + size)))
      }
      assert.deepStrictEqual(shown(inspect([...open(), ...pieces])), want)
    }
  })

  it("inflates both directions by the parameters of each", () => {
    const data = Buffer.from(JSON.stringify({ text: "again and again and again" }))
    const extensions = "permessage-deflate; client_no_context_takeover; server_max_window_bits=10"
    const observations = inspect([
      request("permessage-deflate; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits"),
      answer(extensions),
      frames("client", { opcode: 1, payload: deflated(data), ...rsv1 }, { opcode: 1, payload: deflated(data), ...rsv1 }),
      // The second refers to the first.
      frames("server", { opcode: 1, payload: deflated(data), ...rsv1 }, { opcode: 1, payload: deflated(data, data), ...rsv1 })
    ])
    assert.deepStrictEqual(rulesOf(observations), [])
    const messages = observations.flatMap(({ what }) => what._tag === "Frame" ? what.completed ?? [] : [])
    assert.deepStrictEqual(messages.map(({ message }) => message), Array.from({ length: 4 }, () => data.toString()))
    assert.isTrue(messages.every(({ bytes, isCompressed, wireBytes }) => isCompressed && bytes > wireBytes))
  })

  it("inflates a message that takes an extension many turns, and gives up on one that is too large", () => {
    const data = Buffer.alloc(20 * 1024 * 1024, "0123456789abcdef")
    const head = open("permessage-deflate; server_no_context_takeover")
    const [observation] = inspect([...head, frames("server", { opcode: 2, payload: deflated(data), ...rsv1 })]).slice(2)
    assert.deepStrictEqual(rulesOf([observation!]), [])
    const completed = observation?.what._tag === "Frame" ? observation.what.completed : undefined
    assert.strictEqual(completed?.bytes, data.length)
    const bomb = deflated(Buffer.alloc(65 * 1024 * 1024))
    const after = inspect([...head, frames("server", { opcode: 2, payload: bomb, ...rsv1 }, { opcode: 9, payload: text })]).slice(2)
    assert.deepStrictEqual(rulesOf(after), ["NotInspected "])
    // Frames are shown all the same.
    assert.strictEqual(after.length, 2)
  })

  it.each<[string, string, Side, ReadonlyArray<FrameSpec>]>([
    ["ReservedBit RFC 6455 §5.2", "a reserved bit without an extension", "client", [{ opcode: 1, payload: text, rsv: 2 }]],
    ["ContinuationUnexpected RFC 6455 §5.4", "a continuation of nothing", "server", [{ opcode: 0, payload: text }]],
    ["ContinuationExpected RFC 6455 §5.4", "a message inside a message", "server", [
      { opcode: 1, payload: text, fin: false },
      { opcode: 1, payload: text }
    ]],
    ["InvalidUtf8 RFC 6455 §8.1", "text that is not UTF-8", "client", [{ opcode: 1, payload: Buffer.from([0xff]) }]],
    ["CloseCodeInvalid RFC 6455 §7.4", "a wrong close code", "client", [{ opcode: 8, payload: Buffer.from([3, 237]) }]],
    ["FrameAfterClose RFC 6455 §5.5.1", "a frame after Close", "client", [
      { opcode: 8, payload: Buffer.alloc(0) },
      { opcode: 1, payload: text }
    ]],
    ["ReservedOpcode RFC 6455 §5.2", "a reserved opcode", "client", [{ opcode: 3, payload: text }]],
    ["ControlFragmented RFC 6455 §5.5", "a fragmented ping", "server", [{ opcode: 9, payload: text, fin: false }]],
    ["ControlTooLong RFC 6455 §5.5", "a long ping", "server", [{ opcode: 9, payload: Buffer.alloc(126) }]]
  ])("finds %s: %s", (rule, _, from, specs) => {
    assert.deepStrictEqual(rulesOf(inspect([...open(), frames(from, ...specs)])), [rule])
  })

  it("finds masks where there should be none, and none where there should be some", () => {
    const wrong = (from: Side) =>
      rulesOf(inspect([...open(), Recording.bytesEvent(3, 1, from, encode([{ opcode: 1, payload: text }], from === "server"))]))
    assert.deepStrictEqual(wrong("server"), ["MaskUnexpected RFC 6455 §5.1"])
    assert.deepStrictEqual(wrong("client"), ["MaskMissing RFC 6455 §5.1"])
  })

  it("names the frame that breaks a rule, and goes on reading", () => {
    const observations = inspect([
      ...open(),
      frames("server", { opcode: 1, payload: text }, { opcode: 0, payload: text }, { opcode: 9, payload: text })
    ])
    assert.deepStrictEqual(shown(observations).slice(2), [
      "← text FIN 5 B Hello",
      "← continuation FIN 5 B 48 65 6c 6c 6f",
      " ✗ (ContinuationUnexpected, RFC 6455 §5.4)",
      "← ping FIN 5 B 48 65 6c 6c 6f"
    ])
  })

  it("finds what is wrong with a handshake", () => {
    assert.deepStrictEqual(rulesOf(inspect([request(), answer(undefined, "AAAA")])), ["AcceptInvalid RFC 6455 §4.1"])
    assert.deepStrictEqual(rulesOf(inspect([request(), answer("permessage-deflate")])), ["ExtensionUnexpected RFC 6455 §4.1"])
    const plainRequest: Recording.Event = { ...request(), headers: [["Host", "a"]] } as Recording.Event
    assert.deepStrictEqual(rulesOf(inspect([plainRequest])), ["NotAnUpgrade RFC 6455 §4.2.1"])
  })

  it("shows the body of a refusal, and the end of TCP inside a frame", () => {
    const refusal: Recording.Event = { event: "head", at: 2, connection: 1, from: "server", start: "HTTP/1.1 401 No", headers: [] }
    const body = Recording.bytesEvent(3, 1, "server", Buffer.from("who are you?"))
    const lines = inspect([request(), refusal, body]).flatMap((observation) =>
      Show.lines(observation, { style: plain, columns: 100, isFull: false })
    )
    assert.include(lines.at(-1), "who are you?")
    const cut = inspect([
      ...open(),
      Recording.bytesEvent(3, 1, "server", Uint8Array.of(0x81, 5, 72)),
      { event: "end", at: 4, connection: 1, from: "server", how: "ECONNRESET" }
    ])
    assert.deepStrictEqual(rulesOf(cut), ["FrameIncomplete RFC 6455 §7.1.7"])
  })

  it("shows whole payloads if it is asked to", () => {
    const [, , observation] = inspect([...open(), frames("client", { opcode: 1, payload: Buffer.from("{\"a\":[1]}\u001B") })])
    const [, json] = inspect([...open(), frames("server", { opcode: 1, payload: Buffer.from("{\"a\":[1]}") })]).slice(1)
    const full = { style: plain, columns: 20, isFull: true }
    assert.deepStrictEqual(Show.lines(json!, full).slice(1), ["        { \"a\": [1] }"])
    assert.deepStrictEqual(Show.lines(observation!, full).slice(1), ["        {\"a\":[1]}\\x1b"])
  })
})
