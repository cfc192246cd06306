/** What a client asks for about presence: to be present in a topic, and to be told who is. */
import * as Effect from "effect/Effect"
import type * as Messages from "../wire/Messages.ts"
import * as Answers from "./Answers.ts"
import { type Caller, type Doing, settled } from "./Caller.ts"
import { holding } from "./Holding.ts"

export const join = (caller: Caller, { id, member, topic, value }: typeof Messages.Join.Type): Doing => {
  const { session } = caller
  const { hub, limits, present } = session
  return Effect.gen(function*() {
    const named = yield* caller.named(topic)
    const { payload, value: decoded } = yield* caller.value(named, "member", value, limits.presence.size)
    const allowed = caller.allow(named, "join", { member, value: decoded })
    const entered = Effect.suspend(() => {
      const before = present.get(topic)
      const entering = hub.enter(topic, { id: before?.id ?? hub.uniqueName(), member, payload })
      // Whatever becomes of it, it is left when the connection ends.
      session.isPresent(entering)
      return Effect.tapError(settled(entering.settled), ({ code }) =>
        Effect.sync(() => {
          if (code === "unavailable" && before === undefined) present.delete(topic)
        }))
    })
    yield* caller.lasting(topic, Effect.andThen(allowed, caller.inPlace(present, topic, entered)))
    yield* session.send(Answers.done(id))
  })
}

export const leave = (caller: Caller, { id, topic }: typeof Messages.Leave.Type): Doing => {
  const { hub, present } = caller.session
  return Effect.gen(function*() {
    const entered = present.get(topic)
    if (entered !== undefined) {
      yield* settled(hub.leave(entered))
      present.delete(topic)
    }
    yield* caller.session.send(Answers.done(id))
  })
}

export const watch = (caller: Caller, { id, topic }: typeof Messages.Watch.Type): Doing => {
  const { session } = caller
  return Effect.gen(function*() {
    const named = yield* caller.named(topic)
    const watched = holding(session.hub, topic, named, (live) =>
      Effect.map(session.send(Answers.done(id)), () => session.watch(live)))
    const placed = Effect.suspend(() =>
      session.watches.has(topic) ? session.send(Answers.done(id)) : caller.inPlace(session.watches, topic, watched))
    yield* caller.lasting(topic, Effect.andThen(caller.allow(named, "watch"), placed))
  })
}

export const unwatch = (caller: Caller, { id, topic }: typeof Messages.Unwatch.Type): Doing =>
  Effect.suspend(() => {
    const { session } = caller
    const watch = session.watches.get(topic)
    if (watch !== undefined) session.unwatch(watch)
    return session.send(Answers.done(id))
  })
