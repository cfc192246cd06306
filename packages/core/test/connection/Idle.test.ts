/** What an idle connection holds: as much after any traffic as before it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { Connection } from "../../src/connection/Connection.ts"
import type { Protocol } from "../../src/Protocol.ts"
import type { WebSocket } from "../../src/WebSocket.ts"
import { concat } from "../support/FakeTransport.ts"
import { bytes, make, start, turn } from "../support/Harness.ts"

type Held = ReadonlyArray<string>

/** The objects that are reached from a connection, by their paths; what it shares with others is left out. */
const held = (ws: WebSocket): Held => {
  const { link } = ws as Connection
  const shared = new Set<unknown>([link["transport"], link.deadlines, link.limits, link.budget, (link.protocol as Protocol).outbound["outboxes"]])
  const seen = new Set<unknown>()
  const paths: Array<string> = []
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== "object" || value === null || shared.has(value) || seen.has(value)) return
    seen.add(value)
    paths.push(`${path}: ${value.constructor?.name}`)
    // What it waits with, and the scope that it reads in, are Effect's.
    if (value instanceof Uint8Array || path.endsWith(".scope")) return
    for (const [key, part] of Object.entries(value)) visit(part, `${path}.${key}`)
  }
  visit(link, "link")
  return paths.sort()
}

const cut = (frame: Uint8Array, ...at: ReadonlyArray<number>): ReadonlyArray<Uint8Array> =>
  [0, ...at].map((from, i) => frame.slice(from, at[i]))

type Peer = Effect.Success<ReturnType<typeof make>>

/** Time passes, with the keepalive's Pings answered, until that of whatever was watched is over. */
const passTime = Effect.fnUntraced(function*({ pong, sent, transport }: Peer) {
  for (let i = 0; i < 3; i++) {
    yield* TestClock.adjust("20 seconds")
    transport.push(pong(sent().at(-1)!.data))
  }
})

const traffic: Record<string, (peer: Peer) => ReadonlyArray<Uint8Array>> = {
  "a message": ({ text }) => [text("hello")],
  "many messages in one chunk": ({ binary }) => [concat(Array.from({ length: 20 }, () => binary(bytes(1, 2, 3))))],
  "a message in many chunks": ({ binary }) => cut(binary(100_000), 20_000, 60_000),
  "a header in two chunks": ({ text }) => cut(text("hello"), 3),
  "a text in fragments": ({ more, text }) => [text("a", false), ...cut(more("é", false), 7), more("z")],
  "Pings, one of them in two chunks and within a message": ({ more, ping, text }) => [
    ping("whole"),
    text("a", false),
    ...cut(ping("in two"), 8),
    more("b")
  ]
}

describe("An idle connection", () => {
  for (const [what, chunks] of Object.entries(traffic)) {
    it.effect(`holds as much after ${what} as before`, () =>
      Effect.gen(function*() {
        const peer = yield* make()
        yield* start(Stream.run(peer.ws.messages, peer.ws.sink))
        const before = held(peer.ws)
        for (const chunk of chunks(peer)) {
          peer.transport.push(chunk)
          yield* turn
        }
        assert.isAbove(peer.sent().length, 0)
        yield* passTime(peer)
        assert.deepStrictEqual(held(peer.ws), before)
      }))
  }

  it.effect("holds more while a message is half read, a sender waits, a Pong is awaited", () =>
    Effect.gen(function*() {
      const peer = yield* make({ outboundHighWaterMark: 1 })
      const { text, transport, ws } = peer
      yield* start(Stream.runForEach(ws.messages, ws.send))
      const before = held(ws)
      const more = () => held(ws).filter((path) => !before.includes(path)).map((path) => path.split(": ")[1])
      transport.holding = true
      const [first, second] = cut(text("first"), 8)
      transport.push(first)
      assert.includeMembers(more(), ["IncomingFrame", "IncomingMessage", "MessageWatch"])
      transport.push(second)
      yield* turn
      assert.notIncludeMembers(more(), ["IncomingFrame", "IncomingMessage"])
      transport.push(text("second"), text("third"))
      yield* turn
      assert.includeMembers(more(), ["StallWatch", "Array"])
      transport.holding = false
      transport.take()
      yield* turn
      yield* TestClock.adjust("20 seconds")
      assert.include(more(), "Probe")
      transport.push(peer.pong(peer.sent().at(-1)!.data))
      yield* passTime(peer)
      assert.deepStrictEqual(held(ws), before)
    }))
})
