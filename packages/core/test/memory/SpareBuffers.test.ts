import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { make, type Protocol } from "../../src/Protocol.ts"
import { portable } from "../../src/Primitives.ts"
import * as SpareBuffers from "../../src/memory/SpareBuffers.ts"

const KiB = 1024

describe("Spare", () => {
  it("gives what was given back to who needs as much, or nearly", () => {
    const memory = new Uint8Array(100 * KiB)
    for (const size of [100 * KiB, 80 * KiB + 1]) {
      SpareBuffers.giveBack(memory)
      assert.strictEqual(SpareBuffers.take(size, portable), memory)
      assert.notStrictEqual(SpareBuffers.take(size, portable), memory, "it has one owner")
    }
    SpareBuffers.giveBack(memory)
    for (const size of [100 * KiB + 1, 79 * KiB, 1]) {
      const other = SpareBuffers.take(size, portable)
      assert.notStrictEqual(other, memory)
      assert.strictEqual(other.length, size)
    }
    assert.strictEqual(SpareBuffers.take(100 * KiB, portable), memory)
  })

  it("keeps neither what is little nor what is much", () => {
    for (const size of [8 * KiB - 1, 2 * KiB * KiB + 1]) {
      const memory = new Uint8Array(size)
      SpareBuffers.giveBack(memory)
      assert.notStrictEqual(SpareBuffers.take(size, portable), memory)
    }
  })
})

const message = Schema.Struct({
  isText: Schema.Boolean,
  size: Schema.Literals([10, 9_000, 9_500, 20_000, 21_000, 70_000]),
  char: Schema.Literals(["a", "é", "語"]),
  byte: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
})
const step = Schema.Struct({
  pair: Schema.Literals([0, 1]),
  fromClient: Schema.Boolean,
  chunk: Schema.Literals([700, 5_000, 64 * KiB]),
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
    while (this.waiting.length > 0) this.arrive(64 * KiB)
  }
}

describe("Large messages", () => {
  it.prop("of some connections at the same time never get into each other's memory", {
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
  })
})
