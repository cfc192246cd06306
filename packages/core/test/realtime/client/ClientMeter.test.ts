import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Tracer from "effect/Tracer"
import * as Observability from "../../../src/Observability.ts"
import { eventually } from "../../support/Scripted.ts"
import { at, make, Room, room, scriptedTopics, topic } from "../../support/ScriptedTopics.ts"
import { publication, publications, reader, subscribed } from "../../support/TopicReader.ts"

const own = Effect.updateService(Metric.MetricRegistry, () => new Map())

const read = Effect.gen(function*() {
  const { behind, deliveries, failures, gaps, publications, recoveries, subscriptions, waiting } = Observability.topicClientMetrics
  const gauge = (metric: Metric.Gauge<number>) => Effect.map(Metric.value(metric), ({ value }) => value)
  const counter = (metric: Metric.Counter<number>) => Effect.map(Metric.value(metric), ({ count }) => count)
  const frequency = (metric: Metric.Frequency) => Effect.map(Metric.value(metric), ({ occurrences }) => Object.fromEntries(occurrences))
  return {
    subscriptions: yield* gauge(subscriptions),
    behind: yield* gauge(behind),
    waiting: yield* gauge(waiting),
    deliveries: yield* counter(deliveries),
    publications: yield* counter(publications),
    recoveries: yield* counter(recoveries),
    gaps: yield* frequency(gaps),
    failures: yield* frequency(failures)
  }
})

const nothing = { subscriptions: 0, behind: 0, waiting: 0, deliveries: 0, publications: 0, recoveries: 0, gaps: {}, failures: {} }

/** A client that reads, comes back, has a gap, and publishes, each a little. */
const program = (between: Effect.Effect<void>) => {
  const { layer, visit } = scriptedTopics()
  return Effect.gen(function*() {
    const client = yield* make
    const events = yield* reader(client)
    const first = yield* visit
    yield* first.send(subscribed((yield* first.next("subscribe")).id, 0), ...publications(1, 3))
    yield* events.next(4)
    yield* first.cut
    const second = yield* visit
    const { id } = yield* second.next("subscribe")
    yield* second.send({ type: "failed", id, code: "unavailable", message: "" })
    assert.lengthOf(yield* second.rest, 0)
    yield* TestClock.adjust("5 seconds")
    yield* second.send(
      subscribed((yield* second.next("subscribe")).id, 7, { gap: { reason: "history", from: at(3), to: at(7) } }),
      publication(8)
    )
    yield* events.next(2)
    const publishing = yield* Effect.forkScoped(client.publish(Room, room, { n: 1 }), { startImmediately: true })
    const asked = yield* second.next("publish")
    yield* between
    yield* second.send({ type: "published", id: asked.id, position: at(9), duplicate: false })
    yield* eventually(Fiber.join(publishing))
  }).pipe(Effect.scoped, Effect.provide(layer))
}

describe("the metrics of a client of topics", () => {
  it.effect("count what happens, and keep it when the client ends", () =>
    Effect.gen(function*() {
      yield* program(Effect.gen(function*() {
        assert.deepStrictEqual(yield* read, {
          subscriptions: 1, behind: 0, waiting: 1, deliveries: 4, publications: 0, recoveries: 2, gaps: { history: 1 }, failures: { unavailable: 1 }
        })
      }))
      assert.deepStrictEqual(yield* read, {
        ...nothing, deliveries: 4, publications: 1, recoveries: 2, gaps: { history: 1 }, failures: { unavailable: 1 }
      })
    }).pipe(own))

  it.effect("say how many readers have not taken what was queued", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* make
      // Nobody takes more than the first event.
      const fiber = yield* Effect.forkScoped(
        Stream.runForEach(client.subscribe(Room, room, { bufferSize: 2 }), () => Effect.never),
        { startImmediately: true }
      )
      const server = yield* visit
      yield* server.send(subscribed((yield* server.next("subscribe")).id, 0), ...publications(1, 20))
      yield* server.next("unsubscribe")
      assert.deepInclude(yield* read, { subscriptions: 1, behind: 1 })
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* read, { subscriptions: 0, behind: 0 })
    }).pipe(Effect.provide(layer), own)
  })

  it.effect("are not there where they are turned off", () =>
    Effect.gen(function*() {
      yield* Effect.provide(program(Effect.void), Observability.layer({ metrics: false }))
      assert.deepStrictEqual(yield* read, nothing)
    }).pipe(own))
})

describe("the spans of a client of topics", () => {
  it.effect("are those of publishing and joining, until the server has answered", () => {
    const spans: Array<Tracer.NativeSpan> = []
    const collect = Layer.succeed(Tracer.Tracer, Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    }))
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* make
      const server = yield* visit
      const publishing = yield* Effect.forkScoped(client.publish(Room, room, { n: 1 }), { startImmediately: true })
      const { id } = yield* server.next("publish")
      const ofTopics = () => spans.filter(({ attributes }) => attributes.has("messaging.system"))
      assert.deepStrictEqual(ofTopics().map(({ status }) => status._tag), ["Started"])
      yield* server.send({ type: "published", id, position: at(1), duplicate: false })
      yield* eventually(Fiber.join(publishing))
      const joining = yield* Effect.forkScoped(Effect.exit(client.join(Room, room, "ada", { name: "Ada" })), { startImmediately: true })
      yield* server.send({ type: "failed", id: (yield* server.next("join")).id, code: "refused", message: "" })
      yield* eventually(Fiber.join(joining))
      assert.deepStrictEqual(
        ofTopics().map(({ kind, name, status }) => [name, kind, status._tag === "Ended" && status.exit._tag]),
        [["publish room/:id", "producer", "Success"], ["join room/:id", "client", "Failure"]]
      )
      assert.strictEqual(ofTopics()[0].attributes.get("messaging.destination.name"), topic)
    }).pipe(Effect.provide([layer, collect]))
  })
})
