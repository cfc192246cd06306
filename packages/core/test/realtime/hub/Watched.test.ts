import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { type Peer, serve, settle } from "../../support/TopicsWire.ts"

const Room = Topic.make("room/:id", { publication: Schema.Never, member: Schema.Struct({ name: Schema.String }) })
const topic = "room/a"
const name = (n: number) => `user-${String(n).padStart(5, "0")}`

/** What a watcher was sent. */
const told = (peer: Peer) =>
  Effect.map(peer.arrived, (messages) => {
    const presences = messages.filter((message) => message.type === "presence")
    return {
      lists: presences.filter(({ full }) => full).length,
      messages: presences.length,
      members: presences.reduce((sum, { members }) => sum + members.length, 0),
      bytes: presences.reduce((sum, message) => sum + JSON.stringify(message).length, 0)
    }
  })

/** Members join in waves, behind each of which the watchers are told. What a member costs the broker and the watchers. */
const joinAll = (count: number, wave: number) =>
  Effect.scoped(Effect.gen(function*() {
    const store = yield* Broker.makeMemoryStore
    const broker = yield* store.broker
    const asked = { enter: 0, members: 0 }
    const counting = Broker.Broker.of({
      ...broker,
      enter: (topic, presence) => Effect.andThen(Effect.sync(() => asked.enter++), broker.enter(topic, presence)),
      members: (topic, limit) => Effect.andThen(Effect.sync(() => asked.members++), broker.members(topic, limit))
    })
    const server = yield* serve(counting, Topics.handle([Topics.serve(Room)]))
    const watchers = [yield* server.connect, yield* server.connect]
    for (const peer of watchers) yield* peer.say({ type: "watch", id: 1, topic })
    yield* settle
    for (let from = 0; from < count; from += wave) {
      const members = Array.from({ length: wave }, (_, i) => name(from + i))
      yield* server.run(Effect.forEach(members, (member) => Topics.join(Room, { id: "a" }, member, { name: member }), { concurrency: "unbounded" }))
      yield* settle
      yield* TestClock.adjust("500 millis")
    }
    return { asked, told: yield* Effect.forEach(watchers, told) }
  }))

describe("who joins", () => {
  it.effect("costs what is told of one member, however many join at once", () =>
    Effect.gen(function*() {
      for (const count of [125, 250, 500, 1000]) {
        const { asked, told } = yield* joinAll(count, count)
        // One question at the beginning, and one for all who joined.
        assert.deepStrictEqual(asked, { enter: count, members: 2 })
        for (const { bytes, lists, members, messages } of told) {
          assert.deepStrictEqual([lists, messages, members], [1, 2, count])
          assert.isBelow(bytes, 300 + 70 * count)
        }
      }
    }))

  it.effect("is told alone, not with all who are there already", () =>
    Effect.gen(function*() {
      const wave = 25
      for (const count of [250, 500, 1000]) {
        const { asked, told } = yield* joinAll(count, wave)
        const waves = count / wave
        assert.deepStrictEqual(asked, { enter: count, members: 1 + waves })
        for (const { bytes, lists, members, messages } of told) {
          assert.deepStrictEqual([lists, messages, members], [1, 1 + waves, count])
          assert.isBelow(bytes, 300 + (70 + 100 / wave) * count)
        }
      }
    }))
})
