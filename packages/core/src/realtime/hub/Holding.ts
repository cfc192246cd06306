/** Holding a topic for a request: what succeeds keeps it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Doing, notDone } from "./Caller.ts"
import type { Named } from "./Family.ts"
import type { Hub } from "./Hub.ts"
import type { LiveTopic } from "./LiveTopic.ts"

/** Runs an effect with a topic that it holds, and lets go of it where that fails or is interrupted. */
export const holding = (hub: Hub, name: string, named: Named, use: (topic: LiveTopic) => Doing): Doing =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      restore(Effect.mapError(hub.hold(name, named.family.topic.history), notDone)),
      (topic) =>
        Effect.onExit(
          restore(Effect.suspend(() => use(topic))),
          (exit) => Exit.isFailure(exit) ? Effect.sync(() => hub.release(topic)) : Effect.void
        )
    ))
