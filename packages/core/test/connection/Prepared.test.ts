/** Messages prepared for many: what is shared, what is not, and that everybody gets them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Message from "../../src/Message.ts"
import type { Encoder } from "../../src/MessageExtension.ts"
import { bytes, make, type Options, start, turn } from "../support/Harness.ts"
import * as RunLength from "../support/RunLength.ts"
import { concat } from "../support/FakeTransport.ts"

/** A message that counts how often it is encoded for many. */
const counted = (message: Message.Message) => {
  const prepared = Message.prepare(message)
  let encoded = 0
  const encoding = prepared.encoding.bind(prepared)
  prepared.encoding = (key, encode) =>
    encoding(key, (message) => {
      encoded++
      return encode(message)
    })
  return { prepared, encoded: () => encoded }
}

const extended = (shareKey: string | undefined, toy?: RunLength.Options): Options & { transform: RunLength.RunLength } => {
  const transform = RunLength.open(toy)
  const encoder: Encoder = { ...transform.encoder, shareKey }
  return { extension: () => ({ ...transform, encoder }), transform }
}

describe("prepared messages", () => {
  it.effect("are encoded once for all connections of a server, whatever way they are sent", () =>
    Effect.gen(function*() {
      const text = counted("to all")
      const binary = counted(bytes(1, 2, 3))
      for (let i = 0; i < 3; i++) {
        const open = yield* make()
        yield* open.ws.send("own")
        yield* open.ws.send(text.prepared)
        yield* open.ws.sendAll([binary.prepared, "own"])
        yield* Stream.run(Stream.make(text.prepared), open.ws.sink)
        yield* turn
        assert.deepStrictEqual(open.said(), ["text own", "text to all", "binary 3", "text own", "text to all"])
      }
      assert.strictEqual(text.encoded(), 1)
      assert.strictEqual(binary.encoded(), 1)
    }))

  it.effect("are masked anew by each client", () =>
    Effect.gen(function*() {
      const { encoded, prepared } = counted("to all")
      for (let i = 0; i < 2; i++) {
        const open = yield* make({ role: "client" })
        yield* open.ws.send(prepared)
        yield* turn
        assert.deepStrictEqual(open.said(), ["text to all"])
      }
      assert.strictEqual(encoded(), 0)
    }))

  it.effect("share what an extension makes of them among those with the same key", () =>
    Effect.gen(function*() {
      const { encoded, prepared } = counted("aaaaaaaa")
      for (const key of ["one", "one", "other"]) {
        const options = extended(key)
        const open = yield* make(options)
        yield* open.ws.send(prepared)
        yield* turn
        const [frame] = RunLength.framesOf(open.transport.written, "forbidden")
        assert.isTrue(frame!.rsv2)
        assert.strictEqual(new TextDecoder().decode(RunLength.decode(frame!.data)), "aaaaaaaa")
      }
      assert.strictEqual(encoded(), 2)
    }))

  it.effect("go through an extension whose state they would change, and in slices where they are large", () =>
    Effect.gen(function*() {
      const { encoded, prepared } = counted("b".repeat(3000))
      for (const options of [extended(undefined), extended("key", { sliceSize: 1024 })]) {
        const open = yield* make(options)
        yield* start(open.ws.send(prepared))
        const frames = RunLength.framesOf(open.transport.written, "forbidden")
        assert.strictEqual(frames.length, options.transform.encoder.sliceSize === 1024 ? 3 : 1)
        const text = new TextDecoder().decode(RunLength.decode(concat(frames.map(({ data }) => data))))
        assert.strictEqual(text, "b".repeat(3000))
        assert.isAbove(options.transform.pushed.length, 0)
      }
      assert.strictEqual(encoded(), 0)
    }))

  it.effect("wait below the mark like any other", () =>
    Effect.gen(function*() {
      const open = yield* make({ outboundHighWaterMark: 10 })
      open.transport.holding = true
      const { prepared } = counted("0123456789")
      const sending = yield* start(Effect.andThen(open.ws.send(prepared), open.ws.send(prepared)))
      assert.isUndefined(sending.pollUnsafe())
      open.transport.release()
      yield* turn
      assert.isDefined(sending.pollUnsafe())
      assert.deepStrictEqual(open.said(), ["text 0123456789", "text 0123456789"])
    }))
})
