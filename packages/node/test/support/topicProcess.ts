/**
 * A process of a service on Redis, for tests that kill it. `topicProcess.ts URL TOPIC enter COUNT` is present as so many members,
 * `topicProcess.ts URL TOPIC publish COUNT` publishes so much, each once. It prints `ready` and `done`.
 */
import { NodeRedis, NodeRuntime } from "@effect/platform-node"
import { Broker, RedisBroker } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const [, , url, topic, what, count] = process.argv
const say = (text: string) => Effect.sync(() => process.stdout.write(`${text}\n`))
const numbers = Array.from({ length: Number(count) }, (_, i) => i + 1)
const history = { size: 10_000, timeToLive: 600_000, keyTimeToLive: 600_000 }

const program = Effect.gen(function*() {
  const broker = yield* Broker.Broker
  yield* say("ready")
  if (what === "enter") {
    yield* Effect.forEach(numbers, (n) => broker.enter(topic, { id: `${process.pid}.${n}`, member: `member ${n}`, payload: `${n}` }), {
      concurrency: "unbounded"
    })
  } else {
    // A failure is tried again, under the same key: that is what keys are for.
    yield* Effect.forEach(numbers, (n) => Effect.eventually(Effect.tapError(
      broker.publish(topic, { key: `key ${n}`, payload: `${n}` }, history),
      () => Effect.sleep(100)
    )))
  }
  yield* say("done")
  return yield* Effect.never
})

NodeRuntime.runMain(program.pipe(
  Effect.provide(RedisBroker.layer({ lease: 1500, timeout: 1000 }).pipe(Layer.provide(NodeRedis.layer({ url }))))
))
