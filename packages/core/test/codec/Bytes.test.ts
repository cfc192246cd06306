import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { runInNewContext } from "node:vm"
import { bytesOf, joined } from "../../src/codec/Bytes.ts"
import * as Message from "../../src/Message.ts"
import * as Protocol from "../../src/Protocol.ts"
import * as Harness from "../support/Harness.ts"
import * as RunLength from "../support/RunLength.ts"

/** What a program without types may give. */
const wrong: ReadonlyArray<Uint8Array> = [
  5, 100_000, true, null, undefined, { length: 5 }, { length: 70_000 }, [1, 2, 3], Array.from({ length: 2000 }, () => 7),
  new ArrayBuffer(8), new DataView(new ArrayBuffer(3)), new Float64Array(2000), new Uint16Array(3)
].map((value) => value as unknown as Uint8Array)

describe("Bytes", () => {
  it("are those of any realm, a Node Buffer's and a view's too", () => {
    const foreign = runInNewContext("new Uint8Array([1, 2])") as Uint8Array
    assert.notInstanceOf(foreign, Uint8Array)
    for (const bytes of [new Uint8Array(2), Buffer.from("ab"), new Uint8Array(8).subarray(2, 4), foreign]) {
      assert.strictEqual(bytesOf(bytes), bytes)
    }
  })

  it("are nothing else", () => {
    for (const value of wrong) {
      assert.throws(() => bytesOf(value), TypeError)
      assert.throws(() => Message.prepare(value), TypeError)
    }
  })

  it("of a caller without types reach neither the wire nor an extension", () => {
    for (const role of ["client", "server"] as const) {
      for (const value of wrong) {
        const transform = RunLength.open()
        for (const protocol of [Protocol.make({ role }), Protocol.make({ role, transform })]) {
          assert.throws(() => protocol.send(value), TypeError)
          assert.throws(() => protocol.sendFragment("binary", value, true), TypeError)
          assert.throws(() => protocol.ping(value), TypeError)
          assert.throws(() => protocol.pong(value), TypeError)
          assert.deepStrictEqual(protocol.takeOutput(), [])
          protocol.send("after")
          assert.isAbove(protocol.outputBytes, 0)
        }
        assert.deepStrictEqual(transform.asked, ["after"])
      }
    }
  })

  it.effect("are the sender's defect, and the connection goes on", () =>
    Effect.gen(function*() {
      for (const extension of [undefined, () => RunLength.open({ sliceSize: 1000 })]) {
        const { said, transport, ws } = yield* Harness.make({ extension })
        for (const value of wrong) {
          for (const send of [
            ws.send(value),
            ws.sendBinary(value),
            ws.sendAll([value]),
            Stream.run(Stream.make(value), ws.sink),
            ws.sendBinaryStream(Stream.make(value))
          ]) {
            const exit = yield* Effect.exit(send)
            assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), String(value))
          }
          if (value === undefined || value === null) continue
          assert.isTrue(Exit.isFailure(yield* Effect.exit(ws.sendPing(value))))
        }
        transport.holding = true
        yield* Harness.turn
        assert.isFalse(transport.isHeld, "nothing went out")
        transport.release()
        assert.deepStrictEqual(said(), [])
        yield* ws.sendText("still here")
        yield* Harness.turn
        assert.strictEqual(transport.writes.length, 1)
      }
    }))

  it("are joined in memory of their own", () => {
    const [first, second] = [Uint8Array.of(1, 2), new Uint8Array(8).fill(3).subarray(2, 5)]
    const both = joined([first, second])
    assert.deepStrictEqual([...both], [1, 2, 3, 3, 3])
    assert.strictEqual(both.buffer.byteLength, 5)
    both.fill(9)
    assert.deepStrictEqual([...first, ...second], [1, 2, 3, 3, 3])
    assert.deepStrictEqual(joined([new Uint8Array(0), second]), second)
    assert.deepStrictEqual(joined([first, new Uint8Array(0)]), first)
    assert.deepStrictEqual([...joined([first, second, first])], [1, 2, 3, 3, 3, 1, 2])
    assert.lengthOf(joined([]), 0)
  })
})
