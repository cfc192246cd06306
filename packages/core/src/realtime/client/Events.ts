/** What readers of topics get, decoded from what the server sent. */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Topic from "../Topic.ts"
import type { Gap, Subscribed, TopicEvent } from "../TopicEvent.ts"
import { decoderOf } from "./Codec.ts"
import { InvalidValue } from "./Errors.ts"
import type { GapOf, Item, SnapshotItem } from "./Reader.ts"
import type { Members } from "./Watch.ts"

/** Decodes what a reader takes; a gap or the beginning may have a snapshot behind it. */
export const eventsOf = <T extends Topic.Any>(family: T, topic: string) => {
  type Events = ReadonlyArray<TopicEvent<T["publication"]["Type"], T["snapshot"]["Type"]>>
  type Decoded = Effect.Effect<Events, InvalidValue, T["publication"]["DecodingServices"] | T["snapshot"]["DecodingServices"]>
  const publication = decoderOf(family.publication)
  const snapshotOf = decoderOf(family.snapshot)

  const followed = (events: Events, snapshot: SnapshotItem | undefined): Decoded => {
    if (snapshot === undefined) return Effect.succeed(events)
    const { position } = snapshot
    return Effect.mapBoth(snapshotOf(snapshot.value), {
      onFailure: (cause) => new InvalidValue({ topic, what: "snapshot", position, cause }),
      onSuccess: (value): Events => [...events, { _tag: "Snapshot", position, value }]
    })
  }

  return (item: Item): Decoded => {
    switch (item._tag) {
      case "Publication": {
        const { epoch, key, offset, value } = item
        const position = { epoch, offset }
        return Effect.mapBoth(publication(value), {
          onFailure: (cause) => new InvalidValue({ topic, what: "publication", position, key, cause }),
          onSuccess: (value): Events => [{ _tag: "Publication", position, key, value }]
        })
      }
      case "Subscribed": {
        const { gap, position, snapshot, top } = item
        const subscribed: Subscribed = { _tag: "Subscribed", position, top }
        return followed(gap === undefined ? [subscribed] : [subscribed, toGap(gap)], snapshot)
      }
      case "Gap":
        return followed([toGap(item.gap)], item.snapshot)
      case "Snapshot":
        return followed([], item.snapshot)
    }
  }
}

const toGap = ({ from, reason, to }: GapOf): Gap => ({ _tag: "Gap", reason, from, to })

export interface Present<out M> {
  /** How many there are. */
  readonly count: number
  /** Whether they are listed; above a number of members the server only counts. */
  readonly isListed: boolean
  /** Those who are listed, by name. */
  readonly members: ReadonlyMap<string, M>
}

/** Decodes who is present; a member that has not changed is decoded once. */
export const presentOf = <T extends Topic.Any>(family: T, topic: string) => {
  type M = T["member"]["Type"]
  const decode = decoderOf(family.member)
  let known = new Map<string, { readonly json: Schema.Json; readonly value: M }>()
  return ({ count, listed, members }: Members): Effect.Effect<Present<M>, InvalidValue, T["member"]["DecodingServices"]> =>
    Effect.gen(function*() {
      const next: typeof known = new Map()
      const decoded = new Map<string, M>()
      for (const [name, json] of members) {
        const before = known.get(name)
        const value = before?.json === json ? before.value : yield* Effect.mapError(
          decode(json),
          (cause) => new InvalidValue({ topic, what: "member", cause })
        )
        next.set(name, { json, value })
        decoded.set(name, value)
      }
      known = next
      return { count, isListed: listed, members: decoded }
    })
}
