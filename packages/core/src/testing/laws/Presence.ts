/** Who is present. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type AnyLaw, law } from "./Bench.ts"

const presence = (topic: string, id: string, member: string, payload = "1") => ({ id: `${topic}/${id}`, member, payload })

export const lawsOfPresence: ReadonlyArray<AnyLaw> = [
  law("members are counted, each once, and listed by the presence that was entered last", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const topic = yield* bench.topic
    yield* bench.equal("nobody", yield* one.members(topic, 10), { count: 0, members: [] })
    const [first, second, bob] = [presence(topic, "1", "ann"), presence(topic, "2", "ann", "2"), presence(topic, "3", "bob")]
    yield* one.enter(topic, first)
    yield* other.enter(topic, second)
    yield* one.enter(topic, bob)
    const members = (limit = 10) =>
      Effect.map(other.members(topic, limit), ({ count, members }) => ({
        count,
        members: members.toSorted((a, b) => a.member < b.member ? -1 : 1)
      }))
    yield* bench.equal("who is present", yield* members(), { count: 2, members: [second, bob] })
    const limited = yield* members(1)
    yield* bench.equal("how many are listed and counted", [limited.members.length, limited.count], [1, 2])
    yield* bench.equal("none of them", yield* members(0), { count: 2, members: [] })
    const changed = presence(topic, "1", "ann", "3")
    yield* one.enter(topic, changed)
    yield* bench.equal("who is present after a change", yield* members(), { count: 2, members: [changed, bob] })
    yield* one.leave(topic, changed.id)
    yield* bench.equal("who is present by another connection", yield* members(), { count: 2, members: [second, bob] })
    yield* one.leave(topic, "nobody")
    yield* other.leave(topic, second.id)
    yield* bench.equal("who is present at last", yield* members(), { count: 1, members: [bob] })
  }),

  law("a connection that enters as another member is no longer the one before", function*(bench) {
    const broker = yield* bench.broker
    const topic = yield* bench.topic
    yield* broker.enter(topic, presence(topic, "1", "ann"))
    const bob = presence(topic, "1", "bob")
    yield* broker.enter(topic, bob)
    yield* bench.equal("who is present", yield* broker.members(topic, 10), { count: 1, members: [bob] })
  }),

  law("subscribed processes hear that the members have changed", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const topic = yield* bench.topic
    const ears = yield* bench.listen(other)
    yield* other.subscribe(topic)
    const changes = Effect.sync(() => ears.all.filter((heard) => heard._tag === "MembersChanged" && heard.topic === topic).length)
    yield* one.enter(topic, presence(topic, "1", "ann"))
    yield* bench.eventually("that somebody entered is heard", Effect.map(changes, (changes) => changes >= 1))
    const before = yield* changes
    yield* one.leave(topic, presence(topic, "1", "ann").id)
    yield* bench.eventually("that somebody left is heard", Effect.map(changes, (changes) => changes > before))
  }),

  law("what a process entered ends with it", function*(bench) {
    const other = yield* bench.broker
    const [topic, another] = [yield* bench.topic, yield* bench.topic]
    const ears = yield* bench.listen(other)
    yield* other.subscribe(topic)
    const bob = presence(topic, "0", "bob")
    yield* other.enter(topic, bob)
    const scope = yield* Scope.make()
    const one = yield* Scope.provide(bench.broker, scope)
    for (let i = 1; i <= 20; i++) yield* one.enter(topic, presence(topic, `${i}`, `member ${i}`))
    yield* one.enter(another, presence(another, "1", "ann"))
    yield* bench.equal("how many are present", (yield* other.members(topic, 0)).count, 21)
    yield* Scope.close(scope, Exit.void)
    const from = ears.all.length
    yield* bench.eventually(
      "nobody of the process is present",
      Effect.map(Effect.all([other.members(topic, 10), other.members(another, 10)]), ([here, there]) => here.count === 1 && there.count === 0)
    )
    yield* bench.equal("who is still present", yield* other.members(topic, 10), { count: 1, members: [bob] })
    yield* bench.eventually(
      "that they left is heard",
      Effect.sync(() => ears.all.slice(Math.max(0, from - 1)).some((heard) => heard._tag === "MembersChanged" && heard.topic === topic))
    )
  }),

  law(
    "those who are present are there again after data was lost",
    function*(bench) {
      const [one, other] = [yield* bench.broker, yield* bench.broker]
      const topic = yield* bench.topic
      const [ann, bob] = [presence(topic, "1", "ann"), presence(topic, "2", "bob")]
      yield* one.enter(topic, ann)
      yield* other.enter(topic, bob)
      yield* bench.lose
      yield* bench.eventually(
        "both are present",
        Effect.map(one.members(topic, 10), ({ count }) => count === 2).pipe(Effect.catch(() => Effect.succeed(false)))
      )
    },
    "lose"
  )
]
