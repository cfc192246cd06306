/**
 * Work is linear in what is received, however small its pieces: a parser that begins anew with each chunk, or a buffer
 * that is copied to grow, would show here. Counted, so that a slow machine changes nothing.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as FrameDecoder from "../../src/FrameDecoder.ts"
import { isUtf8 } from "../../src/codec/Utf8.ts"
import * as Extension from "../../src/Extension.ts"
import * as Protocol from "../../src/Protocol.ts"
import { concat, frame } from "../support/FakeTransport.ts"
import * as RunLength from "../support/RunLength.ts"
import { type Counter, countingPrimitives, startCounting, type Work } from "../support/Work.ts"

const KiB = 1024

const each = (bytes: Uint8Array, size: number, give: (chunk: Uint8Array) => void): void => {
  for (let at = 0; at < bytes.length; at += size) give(bytes.slice(at, at + size))
}

interface Setup {
  readonly role?: "client" | "server"
  readonly demand?: "message" | "fragments" | "none"
  readonly transform?: () => RunLength.RunLength
}

/** Reads it all; what waits is taken at the end, so that what is kept cannot be gone through again and again. */
const read = (bytes: Uint8Array, size: number, { demand = "message", role = "server", transform }: Setup): void => {
  const protocol = Protocol.make({
    role,
    primitives: countingPrimitives,
    chunks: "borrowed",
    limits: { maxMessageSize: 2 ** 30, inboundHighWaterMark: 2 ** 30, fragments: { max: 2 ** 30, charge: 0 } },
    transform: transform?.()
  })
  protocol.demand(demand)
  each(bytes, size, (chunk) => {
    for (let at = protocol.receive(chunk); protocol.stopped !== undefined; at = protocol.receive(chunk, at)) {
      assert.strictEqual(protocol.stopped, "turn")
    }
  })
  assert.isUndefined(protocol.ending)
  protocol.takeMessages()
  protocol.fragments?.take()
  protocol.takeOutput()
}

const masked = { masked: true }
const frames = (count: number, one: Uint8Array): Uint8Array => concat(Array.from({ length: count }, () => one))
const text = (size: number): string => "aß€😀".repeat(size / 10)

/** A stream of about `size` bytes. */
const streams: ReadonlyArray<readonly [string, (size: number) => Uint8Array, Setup]> = [
  ["one binary message", (size) => frame(2, new Uint8Array(size), masked), {}],
  ["one binary message, not masked", (size) => frame(2, new Uint8Array(size)), { role: "client" }],
  ["one binary message, in pieces", (size) => frame(2, new Uint8Array(size), masked), { demand: "fragments" }],
  ["one text message", (size) => frame(1, text(size), masked), {}],
  ["one text message, in pieces", (size) => frame(1, text(size), masked), { demand: "fragments" }],
  ["small messages", (size) => frames(size / 16, frame(1, "0123456789", masked)), {}],
  ["small messages that nobody takes", (size) => frames(size / 16, frame(1, "0123456789", masked)), { demand: "none" }],
  ["empty messages", (size) => frames(size / 6, frame(2, "", masked)), {}],
  ["a message of empty fragments", (size) =>
    concat([frame(1, "a", { fin: false, ...masked }), frames(size / 6, frame(0, "", { fin: false, ...masked })), frame(0, "b", masked)]), {}],
  ["a message of small fragments", (size) =>
    concat([frame(2, "a", { fin: false, ...masked }), frames(size / 8, frame(0, "cc", { fin: false, ...masked })), frame(0, "b", masked)]), {}],
  ["pings", (size) => frames(size / 10, frame(9, "ping", masked)), {}],
  ["messages of an extension", (size) =>
    frames(size / 30, RunLength.message(2, "a".repeat(50) + "b".repeat(50), [3, 4])), { transform: RunLength.open }]
]

/** Four times the input may do little more than four times the work; what is quadratic does sixteen times. */
const isLinear = (small: Work, large: Work): void => {
  assert.isAbove(small.steps, 0, "nothing was counted")
  assert.isBelow(large.steps / small.steps, 5, `steps: ${small.steps} and ${large.steps}`)
  assert.isBelow((large.bytes + 1) / (small.bytes + 1), 5, `bytes: ${small.bytes} and ${large.bytes}`)
}

let counter: Counter
const workOf = (run: () => void): Work => counter.workOf(run)

describe("work is linear", () => {
  beforeAll(() => {
    counter = startCounting()
  })
  afterAll(() => counter.stop())

  for (const [what, make, setup] of streams) {
    it(`${what}, byte by byte`, () => {
      const work = (size: number) => {
        const bytes = make(size)
        return workOf(() => read(bytes, 1, setup))
      }
      isLinear(work(KiB), work(4 * KiB))
    })

    it(`${what}, in one chunk and in chunks of 100`, () => {
      for (const chunk of [100, Infinity]) {
        const work = (size: number) => {
          const bytes = make(size)
          return workOf(() => read(bytes, Math.min(chunk, bytes.length), setup))
        }
        isLinear(work(4 * KiB), work(16 * KiB))
      }
    })
  }

  it("frames, by the decoder alone", () => {
    for (const make of [(size: number) => frame(2, new Uint8Array(size), masked), (size: number) => frames(size / 10, frame(9, "ping", masked))]) {
      const work = (size: number) => {
        const bytes = make(size)
        return workOf(() => {
          const decoder = FrameDecoder.make({ mask: "required", maxPayloadLength: 2 ** 30 })
          each(bytes, 1, (chunk) => assert.isUndefined(decoder.push(chunk).error))
        })
      }
      isLinear(work(KiB), work(4 * KiB))
    }
  })

  it("extension headers, within their limits", () => {
    const hostile: ReadonlyArray<(size: number) => string> = [
      (size) => `a; b="${"\\c".repeat(size / 2)}`,
      (size) => ",".repeat(size),
      (size) => " ".repeat(size),
      (size) => `a${" ".repeat(size)};`,
      (size) => "a".repeat(size)
    ]
    for (const make of hostile) {
      const work = (size: number) => {
        const header = make(size)
        return workOf(() => void Extension.parse([header]))
      }
      isLinear(work(500), work(2000))
    }
  })

  it("sees work that is not", () => {
    // Each chunk begins anew with all that came before.
    const bytes = new TextEncoder().encode(text(1600))
    const steps = (size: number) =>
      workOf(() => {
        for (let end = 1; end <= size; end++) isUtf8(bytes, 0, end)
      })
    assert.throws(() => isLinear(steps(400), steps(1600)), /steps/)
    const copies = (size: number) =>
      workOf(() => {
        read(frame(2, bytes, masked), 2000, {})
        for (let end = 1; end <= size; end++) bytes.slice(0, end)
      })
    assert.throws(() => isLinear(copies(400), copies(1600)), /bytes/)
  })
})
