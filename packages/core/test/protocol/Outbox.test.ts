import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { MaskKeys } from "../../src/codec/Mask.ts"
import { lentMemoryOf } from "../../src/memory/LentMemory.ts"
import { maxSpare, spareBytes } from "../../src/memory/SpareMemory.ts"
import * as Message from "../../src/Message.ts"
import type { Transform } from "../../src/MessageExtension.ts"
import { portable } from "../../src/Primitives.ts"
import * as Protocol from "../../src/Protocol.ts"
import { copyLimit, Outbox, Outboxes } from "../../src/protocol/Outbox.ts"
import { countAllocations } from "../support/Allocations.ts"
import { concat, frame, framesOf } from "../support/FakeTransport.ts"
import { block, freeSpare, scribble } from "../support/Spare.ts"

const fin = 0x80
const server = () => new Outbox(portable, undefined)
const client = () => new Outbox(portable, new MaskKeys(portable.randomFill))
const filled = (size: number, value: number) => new Uint8Array(size).fill(value)

const size = Schema.Union([
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9000 })),
  Schema.Literals([125, 126, copyLimit, copyLimit + 1, 16_384, 65_536])
])
const operation = Schema.Union([
  Schema.Struct({ type: Schema.Literals(["bytes", "text", "encoded", "urgent"]), size }),
  Schema.Struct({ type: Schema.Literals(["take", "taken"]) })
])

describe("Outbox", () => {
  it.prop("never writes to what the transport still reads, and loses nothing", {
    operations: Arbitrary.array(Arbitrary.schema(operation), { maxLength: 60 }),
    masked: Schema.Boolean
  }, ({ masked, operations }) => {
    // Two of them, since they share the pool of staging buffers.
    const boxes = [0, 1].map(() => ({
      outbox: masked ? client() : server(),
      held: undefined as undefined | { chunks: Array<Uint8Array>; copies: Array<Uint8Array> },
      wire: [] as Array<Uint8Array>,
      sent: [] as Array<readonly [number, number]>
    }))
    const taken = (box: typeof boxes[number]) => {
      if (box.held === undefined) return
      box.held.chunks.forEach((chunk, i) => assert.deepStrictEqual(chunk, box.held!.copies[i]))
      box.wire.push(...box.held.copies)
      box.held = undefined
      box.outbox.taken()
    }
    const take = (box: typeof boxes[number]) => {
      if (box.held !== undefined) return
      const bytes = box.outbox.queuedBytes
      const chunks = box.outbox.take()
      box.held = { chunks, copies: chunks.map((chunk) => chunk.slice()) }
      assert.strictEqual(concat(chunks).length, bytes)
      assert.strictEqual(box.outbox.queuedBytes, 0)
    }
    operations.forEach((operation, i) => {
      scribble()
      const box = boxes[i % 2]
      switch (operation.type) {
        case "take":
          return take(box)
        case "taken":
          return taken(box)
        case "urgent":
          return box.outbox.urgentFrame(fin | 0xa, filled(operation.size % 126, i), true)
        case "bytes":
          box.outbox.frame(fin | 2, filled(operation.size, i))
          return box.sent.push([operation.size, i])
        case "encoded":
          box.outbox.encoded(frame(2, filled(operation.size, i), { masked }))
          return box.sent.push([operation.size, i])
        case "text":
          box.outbox.text(fin | 1, String.fromCharCode(i + 32).repeat(operation.size))
          return box.sent.push([operation.size, i + 32])
      }
    })
    for (const box of boxes) {
      taken(box)
      take(box)
      taken(box)
      const frames = framesOf(concat(box.wire), masked ? "required" : "forbidden").filter((frame) => frame.opcode < 8)
      assert.deepStrictEqual(frames.map((frame) => [frame.data.length, frame.data[0] ?? -1]), box.sent.map(
        ([size, value]) => [size, size === 0 ? -1 : value]
      ))
      assert.isTrue(frames.every((frame) => frame.data.every((byte) => byte === frame.data[0])))
    }
  })

  it("a staging buffer that is full, but not handed over, is not reused when the last write is taken", () => {
    const outbox = server()
    outbox.frame(fin | 2, filled(8000, 1))
    outbox.take()
    // The transport holds the first; these fill buffers that wait.
    for (let i = 2; i < 8; i++) outbox.frame(fin | 2, filled(8000, i))
    outbox.taken()
    for (let i = 8; i < 12; i++) outbox.frame(fin | 2, filled(8000, i))
    const frames = framesOf(concat(outbox.take()), "forbidden")
    assert.deepStrictEqual(frames.map((frame) => frame.data[0]), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  it("joins small frames, and sends a large payload of a server uncopied", () => {
    const outbox = server()
    for (let i = 0; i < 100; i++) outbox.frame(fin | 2, filled(64, i))
    assert.strictEqual(outbox.take().length, 1)
    outbox.taken()
    const large = filled(copyLimit + 1, 7)
    outbox.frame(fin | 2, large)
    assert.strictEqual(outbox.take()[1], large)
    const masking = client()
    masking.frame(fin | 2, large)
    assert.notInclude(masking.take(), large)
    assert.deepStrictEqual(large, filled(copyLimit + 1, 7))
  })

  it("joins small frames that were encoded for many, and never changes them", () => {
    const outbox = server()
    const shared = Array.from({ length: 4 }, (_, i) => frame(2, filled(64, i)))
    const copies = shared.map((one) => one.slice())
    const large = frame(2, filled(copyLimit + 1, 7))
    outbox.encoded(shared[0]!)
    assert.strictEqual(outbox.take()[0], shared[0], "alone it needs no copy")
    for (const one of shared) outbox.encoded(one)
    outbox.encoded(large)
    outbox.frame(fin | 2, filled(64, 8))
    const chunks = outbox.take()
    assert.strictEqual(chunks.length, 3)
    assert.strictEqual(chunks[1], large)
    assert.deepStrictEqual(framesOf(concat(chunks), "forbidden").map(({ data }) => data[0]), [0, 1, 2, 3, 7, 8])
    assert.deepStrictEqual(shared, copies)
  })

  it("joins the same frames once for all connections that have just these", () => {
    const shared = Array.from({ length: 4 }, (_, i) => frame(2, filled(64, i)))
    const joined = (frames: ReadonlyArray<Uint8Array>) => {
      const outbox = server()
      for (const one of frames) outbox.encoded(one)
      const chunks = outbox.take()
      assert.deepStrictEqual(concat(chunks), concat([...frames]))
      assert.strictEqual(chunks.length, 1)
      outbox.taken()
      return chunks[0]!
    }
    const [, second, third] = [joined(shared), joined(shared), joined(shared)]
    assert.strictEqual(second, third)
    // Others in between, one more, one less, another order.
    const others = [shared.slice(1), [...shared, shared[0]!], shared.toReversed(), [...shared.slice(0, 3), frame(2, filled(64, 3))]]
    for (const other of others) {
      assert.notStrictEqual(joined(other), second)
      assert.strictEqual(joined(other), joined(other))
    }
  })

  it("does not take what somebody may change for the same", () => {
    const large = filled(copyLimit + 1, 1)
    const small = frame(2, filled(64, 2))
    for (const value of [1, 3, 4]) {
      const outbox = server()
      large.fill(value)
      outbox.encoded(small)
      outbox.frame(fin | 2, large)
      outbox.encoded(small)
      const frames = framesOf(concat(outbox.take()), "forbidden")
      assert.deepStrictEqual(frames.map(({ data }) => data[0]), [2, value, 2])
    }
  })

  it("does not keep more than a staging buffer's size of what was joined last", () => {
    const frames = Array.from({ length: 300 }, (_, i) => frame(2, filled(64, i)))
    for (let i = 0; i < 3; i++) {
      const outbox = server()
      for (const one of frames) outbox.encoded(one)
      const chunks = outbox.take()
      assert.isAbove(chunks.length, 1)
      assert.deepStrictEqual(concat(chunks), concat(frames))
      outbox.taken()
    }
  })

  it("reuses staging buffers once they are taken, also another connection's", () => {
    const { allocated, primitives } = countAllocations()
    for (let i = 0; i < 1000; i++) {
      const outbox = new Outbox(primitives, undefined)
      outbox.frame(fin | 2, filled(5000, i))
      outbox.take()
      outbox.taken()
    }
    assert.isAtMost(allocated(), 16_384)
  })

  it("forgets what waits, and leaves alone what the transport still reads", () => {
    const outbox = server()
    outbox.frame(fin | 2, filled(100, 1))
    const [chunk] = outbox.take()
    const before = chunk.slice()
    outbox.frame(fin | 2, filled(100, 2))
    outbox.urgentFrame(fin | 0xa, filled(1, 3), false)
    outbox.clear()
    assert.strictEqual(outbox.queuedBytes, 0)
    assert.isFalse(outbox.isBlank)
    assert.deepStrictEqual(outbox.take(), [])
    for (let i = 0; i < 10; i++) {
      const other = server()
      other.frame(fin | 2, filled(8000, 9))
      assert.deepStrictEqual(chunk, before)
    }
    // The transport is gone, and reads nothing any more.
    outbox.taken()
    const other = server()
    other.frame(fin | 2, filled(100, 9))
    assert.strictEqual(other.take()[0]!.buffer, chunk.buffer)
  })

  it("gives lent memory back once its payload was taken, or will not be, and not where it may still be read", () => {
    const lent = lentMemoryOf(portable)
    const filledLent = () => lent.allocate(16 * 1024).fill(1)
    const outbox = server()
    freeSpare()
    outbox.frame(fin | 2, filledLent())
    outbox.take()
    // Behind the one that is being written.
    outbox.frame(fin | 2, filledLent())
    assert.strictEqual(spareBytes(), 0)
    outbox.taken()
    assert.strictEqual(spareBytes(), block(16 * 1024))
    outbox.take()
    outbox.frame(fin | 2, filledLent())
    outbox.frame(fin | 2, filledLent())
    outbox.clear()
    // The second is with the transport, the third had the memory of the first, the fourth new memory.
    assert.strictEqual(spareBytes(), 2 * block(16 * 1024))
    outbox.taken()
    assert.strictEqual(spareBytes(), 2 * block(16 * 1024))
    assert.isTrue(outbox.isBlank)
    outbox.frame(fin | 2, filledLent())
    outbox.take()
    // The write threw.
    outbox.frame(fin | 2, filledLent())
    outbox.take()
    outbox.taken()
    assert.strictEqual(spareBytes(), block(16 * 1024))
    outbox.frame(fin | 2, new Uint8Array(16 * 1024))
    outbox.take()
    outbox.taken()
    assert.strictEqual(spareBytes(), block(16 * 1024), "what is a program's own stays so")
  })

  it("makes one chunk of a lent payload and the header in front of it", () => {
    for (const masked of [false, true]) {
      const outbox = masked ? client() : server()
      const sizes = [copyLimit + 1, 65_535, 65_536, 100_000]
      for (const [i, size] of sizes.entries()) {
        const payload = lentMemoryOf(portable).allocate(size).fill(i)
        outbox.frame(fin | 2, filled(3, 9))
        outbox.frame(fin | 2, payload)
        outbox.frame(fin | 2, filled(3, 9))
        const bytes = outbox.queuedBytes
        const chunks = outbox.take()
        assert.deepStrictEqual([chunks.length, concat(chunks).length], [3, bytes])
        assert.strictEqual(chunks[1]!.buffer, payload.buffer)
        const frames = framesOf(concat(chunks), masked ? "required" : "forbidden")
        assert.deepStrictEqual(frames.map(({ data }) => data), [filled(3, 9), filled(size, i), filled(3, 9)])
        outbox.taken()
      }
    }
  })

  it("masks what is large in memory that is used again once it was taken", () => {
    freeSpare()
    const outbox = client()
    outbox.frame(fin | 2, new Uint8Array(20_000))
    outbox.text(fin | 1, "x".repeat(20_000))
    const [bytes, text] = outbox.take()
    assert.strictEqual(spareBytes(), 0)
    outbox.taken()
    assert.strictEqual(spareBytes(), 2 * block(20 * 1024))
    outbox.frame(fin | 2, new Uint8Array(20_000))
    assert.include([bytes!.buffer, text!.buffer], outbox.take()[0]!.buffer)
    // What is too large for that is masked in memory of its own.
    freeSpare()
    const huge = maxSpare / 2
    const other = client()
    other.frame(fin | 2, new Uint8Array(huge))
    other.text(fin | 1, "x".repeat(huge))
    assert.deepStrictEqual(other.take().map(({ buffer }) => buffer.byteLength), [huge + 14, huge + 14])
    other.taken()
    assert.strictEqual(spareBytes(), 0)
  })

  it("masks each frame of a client with a fresh key, whatever it carries (RFC 6455 §5.3)", () => {
    const outbox = client()
    const count = 8
    for (let i = 0; i < count; i++) {
      outbox.frame(fin | 2, filled(10, 0))
      outbox.frame(fin | 2, filled(copyLimit + 1, 0))
      outbox.text(fin | 1, "\0".repeat(10))
      outbox.text(fin | 1, "\0".repeat(20_000))
      outbox.urgentFrame(fin | 0xa, filled(10, 0), false)
    }
    const wire = concat(outbox.take())
    const keys: Array<number> = []
    for (let at = 0; at < wire.length;) {
      const short = wire[at + 1]! & 0x7f
      const view = new DataView(wire.buffer, wire.byteOffset + at)
      const keyAt = short < 126 ? 2 : short === 126 ? 4 : 10
      const size = short < 126 ? short : short === 126 ? view.getUint16(2) : view.getUint32(6)
      const key = view.getUint32(keyAt)
      keys.push(key)
      // The payload is zeros, so that the key itself stands there, over and over.
      for (const i of [0, 1, size - 1]) assert.strictEqual(wire[at + keyAt + 4 + i], (key >>> (24 - (i & 3) * 8)) & 0xff)
      at += keyAt + 4 + size
    }
    assert.strictEqual(keys.length, 5 * count)
    assert.strictEqual(new Set(keys).size, keys.length)
    assert.notInclude(keys, 0)
  })

  it("forgets buffers that were filled and not handed over, and keeps 64 for others", () => {
    const outbox = server()
    for (let i = 0; i < 200; i++) outbox.frame(fin | 2, filled(copyLimit, i))
    assert.strictEqual(outbox.queuedBytes, 200 * (copyLimit + 4))
    outbox.clear()
    assert.isTrue(outbox.isBlank)
    const buffers = (count: number) => {
      for (let i = 0; i < count; i++) outbox.frame(fin | 2, filled(copyLimit, i))
      // Most lie in one memory of WebAssembly.
      return new Set(outbox.take().map(({ buffer, byteOffset }) => buffer.byteLength > 100_000 ? byteOffset : buffer))
    }
    const first = buffers(150)
    outbox.taken()
    const again = buffers(150)
    outbox.taken()
    assert.isAtLeast([...again].filter((buffer) => first.has(buffer)).length, 64)
  })
})

describe("Outboxes", () => {
  const keys = new MaskKeys(portable.randomFill)

  it("tell which payloads go out uncopied: a server's large ones", () => {
    const server = new Outboxes(portable, undefined)
    assert.isTrue(server.isUncopied(copyLimit + 1))
    assert.isFalse(server.isUncopied(copyLimit))
    assert.isFalse(new Outboxes(portable, keys).isUncopied(copyLimit + 1))
  })

  it("lend those that were given back, as good as new", () => {
    for (const outboxes of [new Outboxes(portable, undefined), new Outboxes(portable, keys)]) {
      const first = outboxes.lend()
      first.frame(fin | 2, filled(100, 1))
      first.encoded(frame(2, filled(10, 2)))
      first.urgentFrame(fin | 0xa, filled(1, 3), false)
      assert.isFalse(first.isBlank)
      first.take()
      assert.isFalse(first.isBlank)
      first.taken()
      assert.isTrue(first.isBlank)
      outboxes.giveBack(first)
      const again = outboxes.lend()
      assert.strictEqual(again, first)
      assert.notStrictEqual(outboxes.lend(), first)
      again.text(fin | 1, "hi")
      assert.strictEqual(framesOf(concat(again.take()), outboxes.isUncopied(copyLimit + 1) ? "forbidden" : "required").length, 1)
    }
  })

  it("keep no more than a burst of connections needs", () => {
    const outboxes = new Outboxes(portable, undefined)
    const lent = Array.from({ length: 2000 }, () => outboxes.lend())
    for (const outbox of lent) outboxes.giveBack(outbox)
    const again = new Set(Array.from({ length: 2000 }, () => outboxes.lend()))
    assert.strictEqual(lent.filter((outbox) => again.has(outbox)).length, 1024)
  })
})

/** Short frames, whatever their reserved bits: the opcode and the text. */
const short = (bytes: Uint8Array): Array<string> => {
  const frames: Array<string> = []
  for (let at = 0; at < bytes.length; at += 2 + bytes[at + 1]!) {
    const text = new TextDecoder().decode(bytes.subarray(at + 2, at + 2 + bytes[at + 1]!))
    frames.push(`${bytes[at]! & 0x0f} ${text}`)
  }
  return frames
}

describe("A connection whose extension sends while it encodes", () => {
  for (const message of ["mine", Message.prepare("mine")]) {
    it(`never writes to another's outbox: ${typeof message === "string" ? "a message" : "a prepared one"}`, () => {
      let whileEncoding = () => {}
      const transform = {
        name: "x-slow",
        rsv: 4,
        encoder: {
          sliceSize: 1000,
          shareKey: "x",
          begin: () => 4,
          push: (bytes: Uint8Array) => {
            whileEncoding()
            return bytes.slice()
          }
        },
        decoder: { begin: () => {}, push: () => {}, next: () => undefined },
        close: () => {}
      } as unknown as Transform
      const [a, b] = [Protocol.make({ role: "server", transform }), Protocol.make({ role: "server" })]
      const written: Array<Uint8Array> = []
      const write = () => {
        written.push(concat(a.takeOutput()))
        a.outputTaken()
      }
      a.send("first")
      whileEncoding = write
      a.send(message)
      b.send("other")
      write()
      assert.deepStrictEqual(short(concat(written)), ["1 first", "1 mine"])
      assert.deepStrictEqual(short(concat(b.takeOutput())), ["1 other"])
      // One that closes it has the last word.
      whileEncoding = () => a.close(1000)
      a.send("late")
      assert.deepStrictEqual(short(concat(a.takeOutput())).map((frame) => frame[0]), ["8"])
    })
  }
})
