import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { portable, type Primitives } from "../../src/Primitives.ts"
import * as DecodedTexts from "../../src/memory/DecodedTexts.ts"
import * as SpareBuffers from "../../src/memory/SpareBuffers.ts"
import { concat } from "../support/FakeTransport.ts"
import { make, start, turn } from "../support/Harness.ts"

const encoder = new TextEncoder()
const long = (name: string, size = 200) => `${name}${"é€😀x".repeat(Math.ceil(size / 10))}`

/** Texts side by side in one chunk, and remembered. */
const remembered = (...texts: ReadonlyArray<string>): Uint8Array => {
  const parts = texts.map((text) => encoder.encode(text))
  const chunk = concat(parts)
  DecodedTexts.begin(chunk)
  let at = 0
  parts.forEach((part, i) => DecodedTexts.remember(texts[i], chunk, at, at += part.length))
  return chunk
}

/** The portable primitives, and how often they encoded. */
const counting = () => {
  const primitives = {
    ...portable,
    encoded: 0,
    encodeUtf8Into: (text: string, target: Uint8Array, offset: number) => {
      primitives.encoded++
      return portable.encodeUtf8Into(text, target, offset)
    }
  }
  return primitives satisfies Primitives
}

/** The bytes of a text that is found. */
const find = (text: string): Uint8Array | undefined => {
  const size = DecodedTexts.find(text)
  if (size < 0) return undefined
  const target = new Uint8Array(size + 6).fill(0xee)
  DecodedTexts.copyFound(target, 3)
  assert.deepStrictEqual([...target.subarray(0, 3), ...target.subarray(size + 3)], Array.from({ length: 6 }, () => 0xee))
  return target.subarray(3, size + 3)
}

const text = ({ data, opcode }: { readonly data: Uint8Array; readonly opcode: number }): string => {
  assert.strictEqual(opcode, 1)
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data)
}

describe("DecodedTexts", () => {
  it("finds a text by its content, again and again, and those behind it", () => {
    const [a, b, c] = [long("a"), long("b"), long("c")]
    remembered(a, b, c)
    for (const text of [a, a, b, b, c]) {
      assert.deepStrictEqual(find([...text].join("")), encoder.encode(text))
    }
    assert.isUndefined(find(a), "what is behind is not sent again")
    DecodedTexts.forget()
  })

  it("passes over few texts that were not sent, and compares with no more", () => {
    const texts = Array.from({ length: 10 }, (_, i) => long(String(i)))
    remembered(...texts)
    assert.isDefined(find(texts[3]))
    assert.isUndefined(find(texts[9]))
    assert.isDefined(find(texts[6]))
    assert.isDefined(find(texts[9]))
    DecodedTexts.forget()
  })

  it("remembers what is worth it, of the chunk that is read, until that may change", () => {
    const a = long("a")
    for (const text of ["short é", "a".repeat(500)]) {
      remembered(text)
      assert.isUndefined(find(text))
    }
    remembered("a".repeat(1000))
    assert.isDefined(find("a".repeat(1000)))
    const chunk = remembered(a)
    DecodedTexts.forget()
    assert.isUndefined(find(a))
    DecodedTexts.remember(a, chunk, 0, chunk.length)
    assert.isUndefined(find(a))
    DecodedTexts.begin(chunk.slice())
    DecodedTexts.remember(a, chunk, 0, chunk.length)
    assert.isUndefined(find(a))
    const many = Array.from({ length: 300 }, (_, i) => long(String(i)))
    remembered(...many)
    assert.strictEqual(many.filter((text) => find(text) !== undefined).length, 256)
    DecodedTexts.forget()
  })

  it("keeps the memory of a text that came in several chunks until the last of them is read", () => {
    const a = long("a", 20_000)
    const memory = encoder.encode(a)
    const { length } = memory
    const isSpare = () => {
      const taken = SpareBuffers.take(length, portable)
      return taken === memory
    }
    DecodedTexts.begin(new Uint8Array(10))
    DecodedTexts.keep(a, memory, length)
    assert.deepStrictEqual(find(a), memory)
    assert.isFalse(isSpare())
    assert.deepStrictEqual(find(a), memory)
    DecodedTexts.forget()
    assert.isUndefined(find(a))
    assert.isTrue(isSpare())
    // Nobody says when the chunk changes, or there is no more to be remembered.
    DecodedTexts.keep(a, memory, length)
    assert.isUndefined(find(a))
    assert.isTrue(isSpare())
    remembered(...Array.from({ length: 256 }, (_, i) => long(String(i))))
    DecodedTexts.keep(a, memory, length)
    assert.isTrue(isSpare())
    DecodedTexts.forget()
  })

  it.effect("large texts of several connections that come in pieces at the same time are sent on as they came", () =>
    Effect.gen(function*() {
      const primitives = counting()
      const peers = yield* Effect.forEach(["server", "client", "server", "client"] as const, (role) => make({ primitives, role }))
      const texts = peers.map((_, i) => Array.from({ length: 12 }, (_, j) => long(`${i} ${j} `, 9000 + (j % 4) * 500 + i)))
      for (const [i, { ws }] of peers.entries()) {
        yield* start(i < 2 ? Stream.run(ws.messages, ws.sink) : Stream.runForEach(ws.messages, ws.send))
      }
      const pieces = peers.map(({ text }, i) => {
        const bytes = concat(texts[i]!.map((one) => text(one)))
        return Array.from({ length: Math.ceil(bytes.length / 4000) }, (_, j) => bytes.slice(j * 4000, (j + 1) * 4000))
      })
      for (let at = 0; at < Math.max(...pieces.map(({ length }) => length)); at++) {
        // The writes of one are taken later, those of the others at once.
        peers[0]!.transport.holding = at % 7 < 5
        if (at % 7 === 5) peers[0]!.transport.release()
        for (const [i, { transport }] of peers.entries()) {
          const piece = pieces[i]![at]
          if (piece === undefined) continue
          transport.push(piece)
          piece.fill(0x58)
        }
        yield* turn
      }
      peers[0]!.transport.release()
      yield* turn
      for (const [i, { sent }] of peers.entries()) assert.deepStrictEqual(sent().map(text), texts[i])
      assert.isBelow(primitives.encoded, 12, "but for those that had to wait")
    }))

  it.effect("what is sent on while it is read is not encoded again, to whomever", () =>
    Effect.gen(function*() {
      const primitives = counting()
      const from = yield* make({ primitives })
      const to = [yield* make({ primitives }), yield* make({ primitives, role: "client" })]
      const texts = [long("a"), long("b", 20_000), long("c", 9000)]
      to[0].transport.holding = true
      yield* start(Stream.runForEach(from.ws.messages, (message) =>
        Effect.forEach([from, ...to], ({ ws }) => ws.send(message), { discard: true })))
      const chunk = concat(texts.map((text) => from.text(text)))
      from.transport.push(chunk)
      // The next read's bytes.
      chunk.fill(0x58)
      yield* turn
      assert.strictEqual(primitives.encoded, 0)
      // Compares what was held with what was handed over.
      to[0].transport.release()
      yield* turn
      for (const { sent } of [from, ...to]) assert.deepStrictEqual(sent().map(text), texts)
    }))

  it.effect("what is sent later is", () =>
    Effect.gen(function*() {
      const primitives = counting()
      const { sent, text: frame, transport, ws } = yield* make({ primitives })
      yield* start(Stream.runForEach(ws.messages, (message) => Effect.andThen(Effect.yieldNow, ws.send(message))))
      const chunk = frame(long("a"))
      transport.push(chunk)
      chunk.fill(0x58)
      yield* turn
      assert.strictEqual(primitives.encoded, 1)
      assert.deepStrictEqual(sent().map(text), [long("a")])
    }))

  it.effect("a chunk that the owner of a message can write to is not trusted", () =>
    Effect.gen(function*() {
      const { binary, sent, text: frame, transport, ws } = yield* make({ chunks: "owned" })
      yield* start(Stream.runForEach(ws.messages, (message) => {
        if (typeof message === "string") return ws.send(message)
        new Uint8Array(message.buffer).fill(0x58)
        return Effect.void
      }))
      transport.push(concat([binary(5000), frame(long("a"))]))
      yield* turn
      assert.deepStrictEqual(sent().map(text), [long("a")])
    }))

  const message = Schema.Struct({
    text: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
    size: Schema.Literals([0, 90, 300, 3000, 12_000]),
    sent: Schema.Array(Schema.Literals(["same", "changed", "other"])).check(Schema.isMaxLength(3))
  })

  it.effect.prop("whatever is sent arrives as it is", {
    messages: Arbitrary.array(Arbitrary.schema(message), { maxLength: 20 }),
    chunks: Schema.Literals(["borrowed", "scratch", "owned"]),
    role: Schema.Literals(["server", "client"])
  }, ({ chunks, messages, role }) =>
    Effect.gen(function*() {
      const { sent, text: frame, transport, ws } = yield* make({ chunks, role })
      const texts = messages.map(({ size, text }) => long(String(text), size))
      const replies = messages.map(({ sent }, i) =>
        sent.map((how) => how === "same" ? texts[i] : how === "changed" ? `${texts[i].slice(0, -1)}y` : long("other"))
      )
      let next = 0
      yield* start(Stream.runForEach(ws.messages, () => ws.sendAll(replies[next++])))
      if (texts.length > 0) transport.push(concat(texts.map((text) => frame(text))))
      yield* turn
      assert.deepStrictEqual(sent().map(text), replies.flat())
    }))
})
