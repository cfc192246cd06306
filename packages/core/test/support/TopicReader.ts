/** What a scripted server sends to subscribers, and a reader whose events a test takes one after the other. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type * as TopicClient from "../../src/realtime/TopicClient.ts"
import type { ToClient } from "../../src/realtime/wire/Messages.ts"
import { eventually } from "./Scripted.ts"
import { at, Room, room, topic } from "./ScriptedTopics.ts"

export const publication = (offset: number, epoch = "e"): ToClient => ({
  type: "publication",
  topic,
  epoch,
  offset,
  key: `k${offset}`,
  value: { n: offset }
})
export const publications = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => publication(from + i))

export const subscribed = (id: number, offset: number, more: { top?: number; epoch?: string } & Partial<Extract<ToClient, { type: "subscribed" }>> = {}): ToClient => {
  const { epoch = "e", top = offset, ...rest } = more
  return { type: "subscribed", id, topic, position: at(offset, epoch), top, ...rest }
}

/** An event as a few characters. */
export const brief = (event: TopicClient.Event<typeof Room>): string => {
  switch (event._tag) {
    case "Subscribed":
      return `at ${event.position.epoch}${event.position.offset} of ${event.top}`
    case "Publication":
      assert.strictEqual(event.value.n, event.position.offset)
      return `${event.position.epoch}${event.position.offset}`
    case "Gap":
      return `${event.reason} ${event.from.epoch}${event.from.offset}-${event.to.epoch}${event.to.offset}`
    case "Snapshot":
      return `${event.value.sum} at ${event.position.epoch}${event.position.offset}`
  }
}

/** Reads a topic in a fiber; the events come by `next`. */
export const reader = <E>(client: TopicClient.TopicClient<E>, options?: TopicClient.SubscribeOptions) =>
  Effect.gen(function*() {
    const events = yield* Queue.unbounded<string>()
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(client.subscribe(Room, room, options), (event) => Queue.offer(events, brief(event))),
      { startImmediately: true }
    )
    return {
      fiber,
      stop: Fiber.interrupt(fiber),
      next: (count: number) => eventually(Queue.takeBetween(events, count, count)),
      /** What has come so far. */
      rest: Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 100 }), Queue.clear(events))
    }
  })
