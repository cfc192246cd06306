import { assert, describe, it } from "@effect/vitest"
import * as Limits from "../../src/Limits.ts"
import * as Opcode from "../../src/Opcode.ts"
import { portable, type Primitives } from "../../src/Primitives.ts"
import { giveBack, lentMemoryOf } from "../../src/memory/LentMemory.ts"
import { Inbound } from "../../src/protocol/Inbound.ts"
import { closeBody, concat, frame } from "../support/FakeTransport.ts"
import { chop } from "../support/Sequences.ts"
import { scribble } from "../support/Spare.ts"

const hooks = { onPing: () => {}, onPong: () => {} }
const make = (limits: Limits.Options = {}, primitives: Primitives = portable) =>
  new Inbound("client", Limits.make(limits), primitives, "scratch", hooks, undefined)

const counting = () => {
  const counter = { allocated: 0, primitives: portable }
  counter.primitives = {
    ...portable,
    allocate: (size) => {
      counter.allocated += size
      return portable.allocate(size)
    }
  }
  return counter
}

describe("Inbound", () => {
  it("allocates a message that comes in pieces once, at its size", () => {
    const counter = counting()
    const inbound = make({}, counter.primitives)
    const data = Uint8Array.from({ length: 100_000 }, (_, i) => i)
    for (const chunk of chop(frame(Opcode.Binary, data), [1000])) inbound.receive(chunk, 0)
    const [message] = inbound.takeMessages() as [Uint8Array]
    assert.deepStrictEqual(message, data)
    assert.strictEqual(message.buffer.byteLength, data.length)
    assert.strictEqual(counter.allocated, data.length)
  })

  it("takes memory that is used again while its reader gives that back, and leaves none of it to others", () => {
    const counter = counting()
    const inbound = make({}, counter.primitives)
    const data = Uint8Array.from({ length: 5000 }, (_, i) => i)
    const whole = frame(Opcode.Binary, data)
    const pieces = chop(concat([frame(Opcode.Binary, data, { fin: false }), frame(Opcode.Continuation, data)]), [3000])
    const receive = () => {
      for (const chunk of [whole.slice(), ...pieces.map((piece) => piece.slice())]) inbound.receive(chunk, 0)
      return inbound.takeMessages() as Array<Uint8Array>
    }
    inbound.lendMemory()
    for (const message of receive()) giveBack(message)
    const before = counter.allocated
    for (let i = 0; i < 10; i++) {
      const messages = receive()
      assert.deepStrictEqual(messages, [data, concat([data, data])])
      for (const message of messages) giveBack(message)
    }
    assert.strictEqual(counter.allocated, before)
    // One waits, another is incomplete.
    for (const chunk of [whole.slice(), ...pieces.slice(0, 2).map((piece) => piece.slice())]) inbound.receive(chunk, 0)
    inbound.ownMemory()
    scribble()
    for (const chunk of [...pieces.slice(2).map((piece) => piece.slice()), whole.slice()]) inbound.receive(chunk, 0)
    const messages = inbound.takeMessages() as Array<Uint8Array>
    assert.deepStrictEqual(messages, [data, concat([data, data]), data])
    for (const message of messages) assert.strictEqual(message.buffer.byteLength, message.length)
  })

  it("drops what was sent already of what is put back, and weighs the rest", () => {
    const inbound = make()
    const { messages } = inbound
    inbound.ownMemory()
    assert.strictEqual(inbound.messages, messages)
    const [lent, sent] = Array.from({ length: 2 }, (_, i) => lentMemoryOf(portable).allocate(5000).fill(i))
    const own = new Uint8Array(5000)
    giveBack(sent!)
    inbound.putBack(["a", lent!, sent!, own])
    inbound.ownMemory()
    assert.deepStrictEqual(inbound.messages, ["a", lent, own])
    assert.notStrictEqual((inbound.messages[1] as Uint8Array).buffer, lent!.buffer)
    assert.strictEqual(inbound.messages[2], own)
    assert.strictEqual(inbound.messageBytes, 65 + 2 * 5064)
    inbound.takeMessages()
    inbound.putBack([sent!])
    inbound.ownMemory()
    assert.strictEqual(inbound.messages, messages)
  })

  it("weighs what waits: messages, the incomplete one, and pieces", () => {
    const inbound = make({ maxMessageSize: 100 })
    const empty = frame(Opcode.Text, "")
    for (let i = 0; i < 10; i++) inbound.receive(empty, 0)
    assert.strictEqual(inbound.queuedBytes, 640, "empty messages cost something")
    inbound.receive(frame(Opcode.Binary, new Uint8Array(30), { fin: false }), 0)
    assert.strictEqual(inbound.queuedBytes, 670)
    inbound.takeMessage()
    assert.strictEqual(inbound.queuedBytes, 606)
    inbound.takeMessages()
    assert.strictEqual(inbound.queuedBytes, 30)
    inbound.demand = "fragments"
    inbound.stream()
    for (let i = 0; i < 10; i++) inbound.receive(frame(Opcode.Continuation, "x", { fin: false }), 0)
    assert.isAbove(inbound.queuedBytes, 640, "tiny pieces cost something")
    inbound.fragments!.take()
    assert.strictEqual(inbound.queuedBytes, 0)
    inbound.receive(frame(Opcode.Continuation, "", {}), 0)
    assert.isTrue(inbound.fragments!.done)
  })

  it("drops what is left of a discarded message, checks its text, and goes on behind it", () => {
    const counter = counting()
    const inbound = make({ maxMessageSize: 10 }, counter.primitives)
    inbound.demand = "fragments"
    inbound.receive(frame(Opcode.Binary, new Uint8Array(100), { fin: false }), 0)
    inbound.fragments!.discard()
    const before = counter.allocated
    for (let i = 0; i < 100; i++) inbound.receive(frame(Opcode.Continuation, new Uint8Array(1000), { fin: false }), 0)
    assert.strictEqual(inbound.queuedBytes, 0)
    assert.strictEqual(counter.allocated, before)
    inbound.demand = "none"
    inbound.receive(concat([frame(Opcode.Continuation, ""), frame(Opcode.Text, "next")]), 0)
    assert.isUndefined(inbound.fragments)
    assert.deepStrictEqual(inbound.takeMessages(), ["next"])

    inbound.demand = "fragments"
    inbound.receive(frame(Opcode.Text, "a", { fin: false }), 0)
    inbound.fragments!.discard()
    inbound.receive(frame(Opcode.Continuation, Uint8Array.of(0xff), { fin: false }), 0)
    assert.strictEqual(inbound.ending?._tag, "Violation")
  })

  it("turns a message that has begun into pieces for a reader that asks late", () => {
    const inbound = make()
    const bytes = frame(Opcode.Text, "€".repeat(1000))
    inbound.receive(bytes.slice(0, 1000), 0)
    assert.isUndefined(inbound.fragments)
    inbound.demand = "fragments"
    inbound.stream()
    const first = inbound.fragments!.take() as Array<string>
    inbound.receive(bytes.slice(1000), 0)
    const rest = inbound.fragments!.take() as Array<string>
    assert.isAbove(first.length, 0)
    assert.strictEqual([...first, ...rest].join(""), "€".repeat(1000))
    assert.isTrue(inbound.fragments!.done)
  })

  it("forgets the incomplete message when it drops, but finds the Close behind it", () => {
    const inbound = make()
    inbound.receive(frame(Opcode.Binary, new Uint8Array(5000), { fin: false }), 0)
    const open = frame(Opcode.Continuation, new Uint8Array(1000))
    inbound.receive(open.slice(0, 500), 0)
    inbound.drop()
    assert.strictEqual(inbound.queuedBytes, 0)
    inbound.receive(concat([open.slice(500), frame(Opcode.Close, closeBody(4000))]), 0)
    assert.deepInclude(inbound.ending, { _tag: "Close", code: 4000 })
  })

  it("tells how far the input got: inside a header, a frame, a message", () => {
    const inbound = make()
    const at = (...bytes: ReadonlyArray<number>) => {
      inbound.receive(Uint8Array.from(bytes), 0)
      return [inbound.isInsideFrame, inbound.isInsideMessage, inbound.isPartial]
    }
    assert.deepStrictEqual(at(), [false, false, false])
    assert.deepStrictEqual(at(0x01), [true, false, true], "half a header")
    assert.deepStrictEqual(at(0x02), [true, true, true])
    assert.deepStrictEqual(at(0x61), [true, true, true])
    assert.deepStrictEqual(at(0x61), [false, true, true], "a fragment")
    assert.deepStrictEqual(at(0x89), [true, true, true])
    assert.deepStrictEqual(at(0x00), [false, true, true], "a Ping inside it")
    assert.deepStrictEqual(at(0x80, 0x00), [false, false, false])
  })

  it("a streamed text that ends inside a character is not UTF-8, whether it is read or discarded", () => {
    for (const isDiscarded of [false, true]) {
      for (const character of ["\u0080", "\u07c0", "\u07ff", "\u0800", "\uffff", "\u{10000}", "\u{10ffff}"]) {
        const bytes = new TextEncoder().encode(`a${character}`)
        for (let size = 1; size <= bytes.length; size++) {
          const inbound = make()
          inbound.demand = "fragments"
          inbound.receive(frame(Opcode.Text, bytes.subarray(0, 1), { fin: false }), 0)
          if (isDiscarded) inbound.fragments!.discard()
          const { fragments } = inbound
          inbound.receive(frame(Opcode.Continuation, bytes.subarray(1, size)), 0)
          const isWhole = size === 1 || size === bytes.length
          assert.strictEqual(inbound.ending?._tag, isWhole ? undefined : "Violation")
          assert.strictEqual(fragments!.done, isWhole)
          assert.strictEqual(inbound.receivedMessages, isWhole ? 1 : 0)
          const text = fragments!.take().join("")
          assert.strictEqual(text, isDiscarded ? "" : size === bytes.length ? `a${character}` : "a")
          assert.strictEqual(inbound.fragments, isDiscarded ? undefined : fragments)
        }
      }
    }
  })
})
