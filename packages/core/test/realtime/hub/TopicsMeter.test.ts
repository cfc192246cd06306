import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as Observability from "../../../src/Observability.ts"
import { TestServer } from "../../../src/testing/TestServer.ts"
import { type Peer, serve, settle } from "../../support/TopicsWire.ts"

const Texts = Topic.make("texts/:id", { publication: Schema.String, history: { size: 10 } })
const a = { id: "a" }
const route = Topics.handle([Topics.serve(Texts)], { outboundHighWaterMark: 4096 })

const own = Effect.updateService(Metric.MetricRegistry, () => new Map())

const read = Effect.gen(function*() {
  const { active, behind, brokerErrors, deliveries, gaps, lag, publications, recoveries, subscriptions } = Observability.topicMetrics
  const gauge = (metric: Metric.Gauge<number>) => Effect.map(Metric.value(metric), ({ value }) => value)
  const counter = (metric: Metric.Counter<number>) => Effect.map(Metric.value(metric), ({ count }) => count)
  const frequency = (metric: Metric.Frequency) => Effect.map(Metric.value(metric), ({ occurrences }) => Object.fromEntries(occurrences))
  return {
    active: yield* gauge(active),
    subscriptions: yield* gauge(subscriptions),
    behind: yield* gauge(behind),
    lag: yield* gauge(lag),
    publications: yield* counter(publications),
    deliveries: yield* counter(deliveries),
    recoveries: yield* counter(recoveries),
    gaps: yield* frequency(gaps),
    errors: yield* frequency(brokerErrors)
  }
})

const subscribe = (peer: Peer, more: object = {}) =>
  Effect.andThen(peer.say({ type: "subscribe", id: 1, topic: "texts/a", ...more }), peer.expect("subscribed"))

describe("the metrics of topics", () => {
  it.effect("count what happens, and keep it when the process of a test ends", () =>
    Effect.gen(function*() {
      let isDown = false
      yield* Effect.scoped(Effect.gen(function*() {
        const store = yield* Broker.makeMemoryStore
        const broker = yield* store.broker
        const failing = Broker.Broker.of({
          ...broker,
          top: (topic) => Effect.suspend(() => isDown ? new Broker.BrokerError({ operation: "top", applied: "no" }) : broker.top(topic))
        })
        const server = yield* serve(failing, route, { test: { link: { capacity: 4096 } } })
        const [slow, quick] = [yield* server.connect, yield* server.connect]
        const { position } = yield* subscribe(slow)
        yield* subscribe(quick, { since: { ...position, epoch: "other" } })
        assert.deepStrictEqual(yield* read, {
          active: 1, subscriptions: 2, behind: 0, lag: 0, publications: 0, deliveries: 0, recoveries: 1, gaps: { epoch: 1 }, errors: {}
        })
        const { links } = yield* Effect.provideContext(TestServer, server.context)
        const [link] = yield* links
        yield* Effect.addFinalizer(() => link.reset)
        yield* link.stall("server")
        for (let n = 0; n < 20; n++) {
          yield* server.run(Topics.publish(Texts, a, "x".repeat(1000)))
          yield* settle
          yield* quick.arrived
        }
        const stalled = yield* read
        assert.deepInclude(stalled, { active: 1, subscriptions: 2, behind: 1, publications: 20 })
        assert.isAbove(stalled.lag, 8)
        assert.strictEqual(stalled.deliveries, 40 - stalled.lag)
        yield* link.resume("server")
        yield* slow.arrived
        const live = yield* read
        assert.deepInclude(live, { behind: 0, lag: 0, publications: 20 })
        assert.deepStrictEqual(live.gaps.epoch, 1)
        assert.isAtLeast(live.gaps.history, 1)
        isDown = true
        yield* slow.say({ type: "subscribe", id: 1, topic: "texts/b" })
        yield* slow.expect("failed")
        assert.deepStrictEqual((yield* read).errors, { top: 1 })
        yield* slow.say({ type: "unsubscribe", id: 1, topic: "texts/a" })
        yield* slow.expect("done")
        assert.deepInclude(yield* read, { active: 1, subscriptions: 1 })
      }))
      yield* settle
      assert.deepInclude(yield* read, { active: 0, subscriptions: 0, behind: 0, publications: 20, recoveries: 1, errors: { top: 1 } })
    }).pipe(own))

  it.effect("are not there where they are turned off", () =>
    Effect.gen(function*() {
      const off = Topics.layer().pipe(Layer.provide(Broker.layerMemory), Layer.provide(Observability.layer({ metrics: false })))
      yield* Effect.provide(Topics.publish(Texts, a, "x"), off)
      assert.deepStrictEqual((yield* Metric.snapshot).filter(({ id }) => id.startsWith("websocket.topics")), [])
      yield* Effect.provide(Topics.publish(Texts, a, "x"), Topics.layer().pipe(Layer.provide(Broker.layerMemory)))
      assert.notDeepEqual((yield* Metric.snapshot).filter(({ id }) => id.startsWith("websocket.topics")), [])
    }).pipe(own))
})
