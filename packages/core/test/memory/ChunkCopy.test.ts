/** Small binary messages of one chunk share memory: their own bytes, and a bounded share. */
import { assert, describe, it } from "@effect/vitest"
import * as Opcode from "../../src/Opcode.ts"
import { portable } from "../../src/Primitives.ts"
import * as Protocol from "../../src/Protocol.ts"
import { concat, frame } from "../support/FakeTransport.ts"

const pair = (chunks: "borrowed" | "scratch" | "owned") => ({
  client: Protocol.make({ role: "client" }),
  server: Protocol.make({ role: "server", chunks })
})

/** What a server makes of messages that come in one chunk. */
const received = ({ client, server }: ReturnType<typeof pair>, messages: ReadonlyArray<Uint8Array>) => {
  for (const message of messages) client.send(message)
  const chunk = concat(client.takeOutput())
  client.outputTaken()
  server.receive(chunk)
  // The transport goes on with its buffer.
  chunk.fill(0xee)
  return server.takeMessages() as Array<Uint8Array>
}

describe("ChunkCopy", () => {
  it("gives each chunk's messages bytes of their own, and they stay", () => {
    for (const chunks of ["borrowed", "scratch"] as const) {
      const ends = pair(chunks)
      const all: Array<readonly [value: number, message: Uint8Array]> = []
      for (let round = 0; round < 8; round++) {
        const messages = Array.from({ length: 30 }, (_, i) => new Uint8Array(40 + round).fill(round * 30 + i))
        received(ends, messages).forEach((message, i) => all.push([round * 30 + i, message]))
      }
      for (const [value, message] of all) {
        assert.isTrue(message.every((byte) => byte === (value & 0xff)), `${chunks}, ${value}`)
      }
    }
  })

  it("a kept message keeps 8 KiB alive at most, and at most 32 times its own size", () => {
    for (const size of [1, 7, 8, 64, 65, 500, 2047]) {
      const messages = received(pair("scratch"), Array.from({ length: 60 }, () => new Uint8Array(size)))
      assert.strictEqual(messages.length, 60)
      for (const message of messages) {
        assert.isAtMost(message.buffer.byteLength, Math.max(size, Math.min(8192, 32 * size)), `${size}`)
      }
    }
    // A smaller one among larger ones too.
    const mixed = received(pair("scratch"), Array.from({ length: 60 }, (_, i) => new Uint8Array(i % 2 === 0 ? 300 : 9)))
    for (const message of mixed) assert.isAtMost(message.buffer.byteLength, Math.max(64, 32 * message.length))
  })

  it("shares memory where that saves much, and not for one message alone", () => {
    const many = received(pair("scratch"), Array.from({ length: 32 }, () => new Uint8Array(64)))
    assert.isBelow(new Set(many.map((message) => message.buffer)).size, 8)
    const [alone] = received(pair("scratch"), [new Uint8Array(500)])
    assert.strictEqual(alone!.buffer.byteLength, 500)
  })

  it("shows nothing of what the memory held before, even where a hook throws", () => {
    for (const chunks of ["borrowed", "scratch"] as const) {
      const client = Protocol.make({ role: "client" })
      const server = Protocol.make({
        role: "server",
        chunks,
        primitives: { ...portable, allocate: (size) => new Uint8Array(size).fill(0xaa) },
        onPing: () => {
          throw new Error("of the program")
        }
      })
      const messages = Array.from({ length: 30 }, (_, i) => new Uint8Array(50).fill(i))
      for (const message of messages) client.send(message)
      client.ping(new Uint8Array(1))
      assert.throws(() => server.receive(concat(client.takeOutput())), "of the program")
      assert.deepStrictEqual(server.takeMessages(), messages)
    }
  })

  it("shows messages whole to a hook of what came behind them, and leaves alone what was taken there", () => {
    for (const chunks of ["borrowed", "scratch", "owned"] as const) {
      const client = Protocol.make({ role: "client" })
      const taken: Array<Array<number>> = []
      let kept: Uint8Array | undefined
      const look = () => {
        const [first] = server.takeMessages() as Array<Uint8Array>
        taken.push([...first!])
        // Its owner may write to it.
        kept = first!.fill(0xff)
      }
      const server = Protocol.make({
        role: "server",
        chunks,
        primitives: { ...portable, allocate: (size) => new Uint8Array(size).fill(0xaa) },
        onPing: look,
        onPong: look
      })
      const message = (value: number) => new Uint8Array(50).fill(value)
      for (const control of ["ping", "pong"] as const) {
        client.send(message(1))
        client[control](new Uint8Array(0))
        for (let i = 2; i < 10; i++) client.send(message(i))
      }
      server.receive(concat([...client.takeOutput()]))
      assert.deepStrictEqual(taken, [[...message(1)], [...message(2)]], chunks)
      assert.deepStrictEqual(kept, message(0xff), chunks)
    }
  })

  it("shows messages whole to an extension that is given what came behind them", () => {
    for (const chunks of ["borrowed", "scratch", "owned"] as const) {
      const client = Protocol.make({ role: "client" })
      const messages = Array.from({ length: 30 }, (_, i) => new Uint8Array(50).fill(i))
      const seen: Array<unknown> = []
      // As they are now.
      const look = () => seen.push(...server.takeMessages().map((message) => (message as Uint8Array).slice()))
      const server = Protocol.make({
        role: "server",
        chunks,
        primitives: { ...portable, allocate: (size) => new Uint8Array(size).fill(0xaa) },
        transform: {
          name: "looks",
          rsv: 2,
          encoder: { sliceSize: 1024, begin: () => 0, push: (bytes) => bytes },
          decoder: { begin: look, push: look, next: () => undefined },
          close: () => {}
        }
      })
      for (const message of messages) client.send(message)
      const transformed = frame(Opcode.Binary, new Uint8Array(3), { masked: true })
      transformed[0]! |= 0x20
      server.receive(concat([...client.takeOutput(), transformed]))
      assert.deepStrictEqual(seen, messages)
    }
  })
})
