import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import * as ReconnectingClient from "../../src/ReconnectingClient.ts"
import { accept, eventually, refuse, scripted, url, watch } from "../support/Scripted.ts"

describe("the time between attempts", () => {
  /** Runs an effect with a wall clock that it can set back by an hour, while time goes on. */
  const withWallClock = <A, E, R>(use: (setBack: Effect.Effect<void>) => Effect.Effect<A, E, R>) =>
    Effect.flatMap(Clock.Clock, (clock) => {
      let offset = 3_600_000
      const now = () => clock.currentTimeMillisUnsafe() + offset
      const setBack = Effect.sync(() => {
        offset = 0
      })
      return Effect.provideService(use(setBack), Clock.Clock, {
        ...clock,
        currentTimeMillisUnsafe: now,
        currentTimeMillis: Effect.sync(now)
      })
    })

  it.effect("is none of the wall clock's: one that is set back stops no attempt", () => {
    const { layer, requests } = scripted(refuse(500))
    return withWallClock((setBack) =>
      Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url, { schedule: Schedule.spaced("1 second") })
        const { until } = yield* watch(client)
        assert.strictEqual(DateTime.toEpochMillis((yield* until("Waiting")).until), 3_601_000)
        yield* setBack
        yield* TestClock.adjust("1 second")
        assert.strictEqual(DateTime.toEpochMillis((yield* until("Waiting")).until), 2000)
        assert.lengthOf(requests, 2)
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("a connection is healthy after its time, though the wall clock was set back meanwhile", () => {
    const { layer } = scripted(refuse(500), accept((ws) => Effect.andThen(Effect.sleep("11 seconds"), ws.close(1011))))
    return withWallClock((setBack) =>
      Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url)
        const { until } = yield* watch(client)
        yield* eventually(until("Open"))
        yield* setBack
        assert.strictEqual((yield* eventually(until("Waiting"))).attempts, 0)
      })
    ).pipe(Effect.provide(layer))
  })

  for (const [how, options] of Object.entries<ReconnectingClient.Options>({
    "an infinite duration of `retry`": { retry: () => Duration.infinity },
    "an infinite delay of the schedule": { schedule: Schedule.spaced(Duration.infinity) }
  })) {
    it.effect(`${how} waits for \`retryNow\``, () => {
      const { layer, requests } = scripted(refuse(500))
      return Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url, options)
        const { until } = yield* watch(client)
        for (let i = 1; i <= 2; i++) {
          assert.include(ReconnectingClient.describe(yield* until("Waiting")), "waiting until +275760-09-13")
          yield* TestClock.adjust("1000 days")
          assert.lengthOf(requests, i)
          yield* client.retryNow
        }
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("a negative duration of `retry` counts as none", () => {
    const { layer } = scripted(refuse(500))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url, { retry: () => -5000, schedule: Schedule.spaced("1 second") })
      const { until } = yield* watch(client)
      assert.strictEqual(DateTime.toEpochMillis((yield* until("Waiting")).until), 1000)
    }).pipe(Effect.provide(layer))
  })
})
