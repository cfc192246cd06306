import { assert, describe, it } from "@effect/vitest"
import { Topic, Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import * as Observability from "../../../src/Observability.ts"
import { serveAlone } from "../../support/TopicsWire.ts"

const Texts = Topic.make("texts/:id", { publication: Schema.String })

const collect = (spans: Array<Tracer.NativeSpan>) =>
  Layer.succeed(Tracer.Tracer, Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  }))

const program = Effect.gen(function*() {
  const { server } = yield* serveAlone(Topics.handle([Topics.serve(Texts)]))
  const peer = yield* server.connect
  yield* peer.say({ type: "subscribe", id: 1, topic: "texts/a" })
  yield* peer.expect("subscribed")
  yield* peer.say({ type: "watch", id: 1, topic: "nothing/a" })
  yield* peer.expect("failed")
  yield* server.run(Topics.publish(Texts, { id: "a" }, "x"))
  yield* peer.expect("publication")
  return peer.ws
})

describe("the spans of topics", () => {
  it.effect("are those of requests, and of what the program publishes; a delivery has none", () => {
    const spans: Array<Tracer.NativeSpan> = []
    return Effect.gen(function*() {
      yield* program
      const own = spans.filter(({ attributes }) => attributes.has("messaging.system"))
      assert.deepStrictEqual(own.map(({ kind, name }) => [name, kind]), [
        ["subscribe texts/:id", "server"],
        ["watch", "server"],
        ["publish texts/:id", "producer"]
      ])
      const [subscribe, watch, publish] = own
      assert.isTrue(subscribe.parent._tag === "None")
      assert.strictEqual(subscribe.attributes.get("messaging.destination.name"), "texts/a")
      assert.strictEqual(subscribe.attributes.get("messaging.destination.template"), "texts/:id")
      assert.isNumber(subscribe.attributes.get("websocket.connection.id"))
      assert.isTrue(watch.status._tag === "Ended" && watch.status.exit._tag === "Failure")
      assert.strictEqual(publish.status._tag, "Ended")
    }).pipe(Effect.provide(collect(spans)))
  })

  it.effect("are not there without a tracer, or where they are turned off", () => {
    const spans: Array<Tracer.NativeSpan> = []
    return Effect.gen(function*() {
      yield* Effect.provide(program, Observability.layer({ span: false }))
      yield* Effect.withTracerEnabled(program, false)
      assert.deepStrictEqual(spans.filter(({ attributes }) => attributes.has("messaging.system")), [])
    }).pipe(Effect.provide(collect(spans)))
  })
})
