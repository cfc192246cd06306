/** A Node stream as the transport of a connection, as users make one. */
import { assert, describe, it } from "@effect/vitest"
import { Primitives } from "@effect-ws/core"
import { NodePrimitives, NodeTransport } from "@effect-ws/node"
import { Buffer } from "node:buffer"
import { once } from "node:events"
import { Duplex, duplexPair, PassThrough } from "node:stream"

describe("NodeTransport", () => {
  it("hands over early bytes, then those of the stream, and writes after the stream's end", async () => {
    const [near, far] = duplexPair({ allowHalfOpen: false })
    const transport = NodeTransport.fromDuplex(near, Buffer.from("early "))
    assert.isTrue(near.allowHalfOpen)
    let text = ""
    const ended = new Promise<void>((resolve) =>
      transport.start({
        onData: (chunk) => text += Buffer.from(chunk).toString(),
        onEnd: resolve,
        onTaken: () => {},
        onClosed: () => {}
      }))
    far.allowHalfOpen = true
    far.end("late")
    await ended
    assert.strictEqual(text, "early late")
    transport.write([Buffer.from("answer")])
    const [answer] = await once(far, "data") as [Buffer]
    assert.strictEqual(answer.toString(), "answer")
    transport.destroy()
  })

  it("leaves alone what a stream of the program has not passed on, although that stream has called back", async () => {
    const out = new PassThrough()
    const [near, far] = duplexPair()
    for (const [duplex, end] of [[near, far], [Duplex.from({ writable: out, readable: new PassThrough() }), out]] as const) {
      const transport = NodeTransport.fromDuplex(duplex)
      const taken = new Promise<void>((resolve) =>
        transport.start({ onData: () => {}, onEnd: () => {}, onTaken: resolve, onClosed: () => {} }))
      const memory = new Uint8Array(1000).fill(1)
      // Taken: its memory may be used again.
      if (!transport.write([memory])) await taken
      memory.fill(2)
      const [chunk] = await once(end, "data") as [Buffer]
      assert.deepStrictEqual(new Uint8Array(chunk), new Uint8Array(1000).fill(1))
      transport.destroy()
    }
  })

  it("works with Node's primitives", () => {
    const transport = NodeTransport.fromDuplex(duplexPair()[0])
    assert.strictEqual(transport.primitives, NodePrimitives.primitives)
    assert.notStrictEqual<Primitives.Primitives>(transport.primitives, Primitives.portable)
    transport.destroy()
  })
})
