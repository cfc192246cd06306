/** Which of spans, log lines and attributes a connection has: what is not asked for is not made. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { TestClock } from "effect/testing"
import type * as Tracer from "effect/Tracer"
import type { Connection } from "../../src/connection/Connection.ts"
import { annotate, isWanted } from "../../src/connection/Telemetry.ts"
import * as Observability from "../../src/Observability.ts"
import { make } from "../support/Harness.ts"
import { fresh, keepLogs, keepSpans, type Line } from "../support/Observed.ts"

const observing = (lines: Array<Line>, spans: Array<Tracer.NativeSpan>) => Effect.provide([fresh, keepLogs(lines), keepSpans(spans)])

const wantedWith = (own: Observability.Options | undefined) => Effect.withFiber((fiber) => Effect.succeed(isWanted(fiber, own)))

describe("Telemetry", () => {
  it.effect("makes a span, log lines, both or neither, and asks for attributes where it needs them", () => {
    const lines: Array<Line> = []
    const spans: Array<Tracer.NativeSpan> = []
    return Effect.gen(function*() {
      for (const span of [true, false]) {
        for (const logs of [true, false]) {
          lines.length = spans.length = 0
          let asked = 0
          const attributes = () => {
            asked++
            return {}
          }
          const { transport } = yield* make({ attributes, observability: { span, logs } })
          transport.closes()
          const seen = `span ${span}, logs ${logs}`
          assert.lengthOf(spans, span ? 1 : 0, seen)
          assert.lengthOf(lines, logs ? 2 : 0, seen)
          assert.strictEqual(asked, span || logs ? 1 : 0, seen)
        }
      }
    }).pipe(observing(lines, spans))
  })

  it.effect("takes no time for a span where spans have none", () => {
    const spans: Array<Tracer.NativeSpan> = []
    return Effect.gen(function*() {
      for (const timed of [true, false]) {
        const { transport } = yield* Effect.provideService(make(), References.TracerTimingEnabled, timed)
        yield* TestClock.adjust("2 seconds")
        transport.closes()
        const { status } = spans.at(-1)!
        assert(status._tag === "Ended")
        assert.strictEqual(status.endTime > 0n, timed)
      }
    }).pipe(observing([], spans))
  })

  it.effect("has a use for attributes in a span, in log lines, or in those of a handler", () =>
    Effect.gen(function*() {
      const none = { span: false, logs: false } as const
      assert.isFalse(yield* wantedWith(none))
      assert.isTrue(yield* wantedWith({ ...none, span: true }))
      assert.isTrue(yield* wantedWith({ ...none, logs: true }))
      assert.isTrue(yield* wantedWith({ ...none, handlerLogs: true }))
      assert.isFalse(yield* Effect.withTracerEnabled(wantedWith({ ...none, span: true }), false))
    }).pipe(observing([], [])))

  it.effect("adds them to the lines of a handler where that is asked for: for all, or for one", () => {
    const lines: Array<Line> = []
    return Effect.gen(function*() {
      const { ws } = yield* make({ observability: { logs: false, span: false } })
      const handled = (own?: Observability.Options) =>
        annotate(Effect.log("handled"), (ws as Connection).link, own, () => ({ attributes: () => ({ "url.path": "/chat" }) }))
      const isAnnotated = (own?: Observability.Options) =>
        Effect.map(handled(own), () => lines.at(-1)!.annotations["url.path"] === "/chat")
      assert.isFalse(yield* isAnnotated())
      assert.isTrue(yield* isAnnotated({ handlerLogs: true }))
      assert.isTrue(yield* Effect.provide(isAnnotated(), Observability.layer({ handlerLogs: true })))
      assert.isFalse(yield* Effect.provide(isAnnotated({ handlerLogs: false }), Observability.layer({ handlerLogs: true })))
    }).pipe(observing(lines, []))
  })
})
