import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { Message } from "../../src/Message.ts"
import { binary, type Codec, json } from "../../src/contract/Codec.ts"
import { Random } from "../fuzz/Random.ts"

const Order = Schema.Struct({
  lines: Schema.Array(Schema.Struct({ name: Schema.String, price: Schema.Finite, tags: Schema.optionalKey(Schema.Array(Schema.String)) })),
  counts: Schema.Record(Schema.String, Schema.Finite),
  at: Schema.DateTimeUtcFromMillis,
  what: Schema.NullOr(Schema.Uint8Array),
  large: Schema.BigInt
})

const order: typeof Order.Type = {
  lines: Array.from({ length: 20 }, (_, i) => ({ name: `name ${i % 3}`, price: i / 4, tags: ["a", "b"] })),
  counts: { one: 1, "ключ": 2 },
  at: DateTime.makeUnsafe(17),
  what: Uint8Array.of(0, 255),
  large: 2n ** 70n
}

const bytesOf = (message: Message) => typeof message === "string" ? new TextEncoder().encode(message) : message.slice()

/** A message with some of its bytes changed, cut or made up. */
const damaged = (good: Message, random: Random): Message => {
  const whole = bytesOf(good)
  const bytes = random.below(4) === 0
    ? Uint8Array.from({ length: random.below(100) }, () => random.below(256))
    : whole.subarray(0, random.below(5) === 0 ? random.below(whole.length) : whole.length)
  for (let changes = random.below(4); changes > 0 && bytes.length > 0; changes--) {
    bytes[random.below(bytes.length)] = random.below(256)
  }
  return typeof good === "string" ? new TextDecoder().decode(bytes) : bytes
}

const codecs: ReadonlyArray<Codec> = [json, binary]

describe("codecs", () => {
  it.effect("json: bytes are no text, whatever they would be as one", () =>
    Effect.gen(function*() {
      const { decode } = json.compile(Schema.Finite)
      assert.strictEqual(yield* decode("7"), 7)
      assert.strictEqual(yield* Effect.flip(decode(new TextEncoder().encode("7"))), "syntax")
      assert.strictEqual(yield* Effect.flip(decode(Uint8Array.of(7))), "syntax")
    }))

  for (const codec of codecs) {
    const { decode, encode } = codec.compile(Order)

    it.effect(`${codec.name}: a value comes back as it was`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* decode(yield* encode(order)), order)
      }))

    it.effect(`${codec.name}: the other kind of message is refused`, () =>
      Effect.gen(function*() {
        const good = yield* encode(order)
        const other = typeof good === "string" ? bytesOf(good) : new TextDecoder().decode(good)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(decode(other))))
      }))

    it.effect(`${codec.name}: whatever arrives becomes a value or a refusal`, () =>
      Effect.gen(function*() {
        const good = yield* encode(order)
        const random = new Random(4711)
        let refused = 0
        for (let i = 0; i < 3000; i++) {
          const message = damaged(good, random)
          const exit = yield* Effect.exit(Effect.suspend(() => decode(message)))
          if (Exit.isSuccess(exit)) continue
          refused++
          assert.isTrue(exit.cause.reasons.every((reason) => reason._tag === "Fail"), JSON.stringify(bytesOf(message)))
        }
        assert.isAbove(refused, 1000)
      }))
  }
})
