import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { portable, type Primitives } from "../../src/Primitives.ts"
import { make, type Protocol } from "../../src/Protocol.ts"
import { Outbound } from "../../src/protocol/Outbound.ts"
import * as SentText from "../../src/protocol/SentText.ts"
import { concat, framesOf } from "../support/FakeTransport.ts"

const encoder = new TextEncoder()
const long = (name: string, size = 200) => `${name}${"\u00e9\u20ac\u{1f600}x".repeat(Math.ceil(size / 10))}`

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

const message = Schema.Struct({
  isText: Schema.Boolean,
  size: Schema.Literals([10, 300, 2_000, 9_000, 9_500, 20_000, 70_000]),
  char: Schema.Literals(["a", "é", "語"]),
  byte: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
})
const step = Schema.Struct({
  pair: Schema.Literals([0, 1]),
  fromClient: Schema.Boolean,
  chunk: Schema.Literals([700, 5_000, 65_536]),
  isTaken: Schema.Boolean,
  message
})

/** What one side sends reaches the other in chunks, each of which is overwritten behind it. */
class Wire {
  private readonly from: Protocol
  private readonly to: Protocol
  private held: ReadonlyArray<readonly [chunk: Uint8Array, copy: Uint8Array]> = []
  private waiting: Uint8Array = new Uint8Array(0)
  readonly sent: Array<string | Uint8Array> = []
  readonly received: Array<string | Uint8Array> = []
  readonly copies: Array<string | Uint8Array> = []

  constructor(from: Protocol, to: Protocol) {
    this.from = from
    this.to = to
  }

  send(message: string | Uint8Array): void {
    this.sent.push(message)
    this.from.send(message)
  }

  /** Hands over what waits to be written; it is read when it is taken. */
  write(): void {
    if (this.held.length > 0) return
    this.held = this.from.takeOutput().map((chunk) => [chunk, chunk.slice()])
  }

  taken(): void {
    for (const [chunk, copy] of this.held) {
      assert.deepStrictEqual(chunk, copy, "what the transport has is not written to")
      const waiting = new Uint8Array(this.waiting.length + copy.length)
      waiting.set(this.waiting)
      waiting.set(copy, this.waiting.length)
      this.waiting = waiting
    }
    this.held = []
    this.from.outputTaken()
  }

  /** One chunk arrives. */
  arrive(size: number): void {
    const chunk = this.waiting.slice(0, size)
    this.waiting = this.waiting.slice(size)
    if (chunk.length === 0) return
    this.to.receive(chunk)
    chunk.fill(0x2a)
    for (const message of this.to.takeMessages()) {
      this.received.push(message)
      this.copies.push(typeof message === "string" ? message : message.slice())
    }
    assert.isUndefined(this.to.ending)
  }

  finish(): void {
    for (let i = 0; i < 3; i++) {
      this.taken()
      this.write()
    }
    while (this.waiting.length > 0) this.arrive(65_536)
  }
}

describe("SentText", () => {
  it("finds the text that was sent last, by its content, until its buffer changes", () => {
    const text = long("a")
    const buffer = concat([encoder.encode("xx"), encoder.encode(text)])
    SentText.remember(text, buffer, 2, buffer.length)
    const size = SentText.find([...text].join(""))
    assert.strictEqual(size, buffer.length - 2)
    const target = new Uint8Array(size + 6).fill(0xee)
    SentText.copyFound(target, 3)
    assert.deepStrictEqual(target, concat([new Uint8Array(3).fill(0xee), encoder.encode(text), new Uint8Array(3).fill(0xee)]))
    assert.strictEqual(SentText.find(long("b")), -1)
    SentText.forget(buffer.slice())
    assert.strictEqual(SentText.find(text), size, "another buffer changes")
    SentText.forget(buffer)
    assert.strictEqual(SentText.find(text), -1)
    assert.strictEqual(SentText.find(""), -1, "nothing is remembered")
  })

  it("remembers what costs more to encode than to find", () => {
    const buffer = new Uint8Array(2000)
    const isRemembered = (text: string): boolean => {
      SentText.forget(buffer)
      SentText.remember(text, buffer, 0, encoder.encodeInto(text, buffer).written)
      return SentText.find(text) > 0
    }
    assert.deepStrictEqual(["a".repeat(511), "a".repeat(512)].map(isRemembered), [false, true])
    assert.deepStrictEqual([`\u00e9${"a".repeat(125)}`, `\u00e9${"a".repeat(126)}`].map(isRemembered), [false, true])
    SentText.forget(buffer)
  })

  it("a server's text to many is encoded once, a client's for each, since each is masked with a key of its own", () => {
    for (const role of ["server", "client"] as const) {
      for (const [text, size] of [[long("a", 300), 1], [long("b", 20_000), 20_000], ["a".repeat(6000), 6000]] as const) {
        const primitives = counting()
        const many = Array.from({ length: 10 }, () => new Outbound(role, primitives, undefined))
        for (const one of many) one.send([...text].join(""))
        assert.strictEqual(primitives.encoded, role === "server" ? 1 : 10)
        for (const one of many) {
          const wire = concat(one.take())
          const [frame] = framesOf(wire, role === "client" ? "required" : "forbidden")
          assert.strictEqual(new TextDecoder().decode(frame!.data), text)
          assert.strictEqual(frame!.opcode, 1)
          assert.isAbove(wire.length, size)
          one.taken()
        }
        many[0]!.send(text)
        many[0]!.take()
        many[0]!.taken()
      }
    }
  })

  it("a text is encoded again once the transport has taken the bytes of the first", () => {
    const primitives = counting()
    const [first, second] = [1, 2].map(() => new Outbound("server", primitives, undefined))
    const text = long("again")
    first!.send(text)
    first!.take()
    second!.send(text)
    assert.strictEqual(primitives.encoded, 1, "its bytes are still there")
    first!.taken()
    second!.take()
    second!.taken()
    first!.send(text)
    assert.strictEqual(primitives.encoded, 2)
    first!.clear()
    second!.send(text)
    assert.strictEqual(primitives.encoded, 3, "what is cleared may be overwritten")
    second!.clear()
  })

  it.prop("messages of several connections at the same time never get into each other's memory", {
    steps: Arbitrary.array(Arbitrary.schema(step), { maxLength: 40 })
  }, ({ steps }) => {
    const pairs = [0, 1].map(() => {
      const [client, server] = [make({ role: "client" }), make({ role: "server", chunks: "scratch" })]
      return { up: new Wire(client, server), down: new Wire(server, client) }
    })
    for (const { chunk, fromClient, isTaken, message: { byte, char, isText, size }, pair } of steps) {
      const wire = fromClient ? pairs[pair]!.up : pairs[pair]!.down
      wire.send(isText ? char.repeat(size / 2) : new Uint8Array(size).fill(byte))
      wire.write()
      if (isTaken) wire.taken()
      for (const { down, up } of pairs) {
        up.arrive(chunk)
        down.arrive(chunk)
      }
    }
    for (const { down, up } of pairs) {
      for (const wire of [down, up]) {
        wire.finish()
        assert.deepStrictEqual(wire.received, wire.sent)
        assert.deepStrictEqual(wire.received, wire.copies, "what was handed out stays as it was")
      }
    }
  })})
