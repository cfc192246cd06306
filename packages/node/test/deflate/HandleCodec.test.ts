/** DEFLATE by zlib's handles: how much a step does. What it does is proved in NodeDeflate.test.ts. */
import { assert, describe, it } from "@effect/vitest"
import { Buffer } from "node:buffer"
import * as HandleCodec from "../../src/deflate/HandleCodec.ts"
import { works } from "../../src/deflate/Probe.ts"
import { isPortable } from "../../src/undocumented/Switch.ts"

describe("HandleCodec", () => {
  it("works on this Node, and is used unless documented interfaces are asked for", () => {
    assert.isTrue(works(HandleCodec))
    assert.strictEqual(HandleCodec.isSupported(), !isPortable)
  })

  it("what was inflated is never written to again, and small outputs share memory", () => {
    const deflate = HandleCodec.compressor({ windowBits: 15, level: 6, memLevel: 8 })
    const decompressor = HandleCodec.decompressor({ windowBits: 15 })
    const messages = Array.from({ length: 300 }, (_, i) => new Uint8Array((i * 37) % 3000).fill(i))
    const inflated = messages.map((message) => {
      decompressor.push(deflate.push(message, true), true)
      const steps: Array<Uint8Array> = []
      for (let step = decompressor.next(); step !== undefined; step = decompressor.next()) {
        if (!(step instanceof Uint8Array)) return assert.fail(step.detail)
        steps.push(step)
      }
      return steps
    })
    messages.forEach((message, i) => assert.isTrue(Buffer.concat(inflated[i]!).equals(message), `message ${i}`))
    assert.isBelow(new Set(inflated.flat().filter(({ length }) => length <= 1000).map(({ buffer }) => buffer)).size, 20)
    deflate.close()
    decompressor.close()
  })

  it("inflates a bomb in steps that are bounded in output and in input", () => {
    const deflate = HandleCodec.compressor({ windowBits: 15, level: 6, memLevel: 8 })
    const zeros = new Uint8Array(1024 * 1024)
    const parts = Array.from({ length: 1024 }, (_, i) => deflate.push(zeros, i === 1023))
    deflate.close()
    const bomb = new Uint8Array(Buffer.concat(parts))
    assert.isBelow(bomb.length, 1.1 * 1024 * 1024)
    const decompressor = HandleCodec.decompressor({ windowBits: 15 })
    decompressor.push(bomb, true)
    let total = 0
    for (let step = decompressor.next(); step !== undefined; step = decompressor.next()) {
      if (!(step instanceof Uint8Array)) return assert.fail(step.detail)
      assert.isAtMost(step.length, 64 * 1024)
      total += step.length
    }
    assert.strictEqual(total, 1024 * 1024 * 1024)
    // and one that makes nothing: empty final blocks, each a stream of its own
    const empty = new Uint8Array(100_000).map((_, i) => i % 2 === 0 ? 3 : 0)
    let steps = 0
    decompressor.push(empty, true)
    for (let step = decompressor.next(); step !== undefined; step = decompressor.next()) {
      if (!(step instanceof Uint8Array)) return assert.fail(step.detail)
      assert.strictEqual(step.length, 0)
      steps++
    }
    assert.isAbove(steps, 100)
    decompressor.close()
  }, 60_000)
})
