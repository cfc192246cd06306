import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, type TopicEvent, Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

const memory = Topics.layer().pipe(Layer.provideMerge(Broker.layerMemory))

// Of the next version, and of this one.
const Newer = Topic.make("numbers/:id", { publication: Schema.Json })
const Numbers = Topic.make("numbers/:id", { publication: Schema.Finite })
const a = { id: "a" }

const publish = (value: Schema.Json) => Topics.publish(Newer, a, value)

/** What a reader sees before it fails, and how it fails. */
const read = (since: Broker.Position | "start") =>
  Effect.gen(function*() {
    const seen: Array<TopicEvent.TopicEvent<number>> = []
    const error = yield* Effect.flip(
      Stream.runForEach(Topics.subscribe(Numbers, a, { since }), (event) => Effect.sync(() => seen.push(event)))
    )
    return { error, values: seen.flatMap((event) => event._tag === "Publication" ? [event.value] : []), last: seen.at(-1)! }
  })

describe("a subscription of the program itself", () => {
  it.effect("delivers what is before a publication that its Schema does not know, so that its reader can go on behind it", () =>
    Effect.gen(function*() {
      for (const value of [1, 2, "three", 4, 5, "six"]) yield* publish(value)
      const first = yield* read("start")
      assert.deepStrictEqual(first.values, [1, 2])
      assert.strictEqual(first.error._tag, "SchemaError")
      assert(first.last._tag === "Publication")
      const { epoch, offset } = first.last.position
      // Asked for again it fails again, and nothing comes twice.
      assert.deepStrictEqual((yield* read({ epoch, offset })).values, [])
      assert.deepStrictEqual((yield* read({ epoch, offset: offset + 1 })).values, [4, 5])
    }).pipe(Effect.provide(memory)))
})
