/** A subscription of the program itself: a stream that pulls, so that nothing is kept for a slow reader. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Pull from "effect/Pull"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { BrokerError, History, Position } from "../Broker.ts"
import type { TopicEvent } from "../TopicEvent.ts"
import type { Values } from "./Family.ts"
import type { Hub } from "./Hub.ts"
import { type LiveTopic, patiently } from "./LiveTopic.ts"
import type { Recent } from "./Recent.ts"
import type { Present, Watch } from "./Watched.ts"

const atOnce = 64

type Events<A> = [TopicEvent<A>, ...Array<TopicEvent<A>>]

/** A publication that does not match its Schema: `error` says where. */
const schemaError = (error: Schema.SchemaError | undefined) =>
  error === undefined ? Effect.die(new RangeError("A publication is nested too deeply")) : Effect.fail(error)

const decode = <A>(values: Values, payload: string): Effect.Effect<A, Schema.SchemaError> =>
  Effect.catch(
    Effect.suspend(() => values.decode(JSON.parse(payload))),
    ({ error }) => schemaError(error)
  ) as Effect.Effect<A, Schema.SchemaError>

/** A topic for as long as the scope lasts. */
const held = (hub: Hub, name: string, history: History) =>
  Effect.acquireRelease(hub.hold(name, history), (topic) => Effect.sync(() => hub.release(topic)), { interruptible: true })

class Reader<A> {
  private readonly topic: LiveTopic
  private readonly hub: Hub
  private readonly values: Values
  private position: Position

  constructor(topic: LiveTopic, hub: Hub, values: Values, position: Position) {
    this.topic = topic
    this.hub = hub
    this.values = values
    this.position = position
  }

  /** Decoding fails behind what was decoded before. */
  readonly next: Pull.Pull<Events<A>, Schema.SchemaError> = Effect.suspend(() => {
    const { topic } = this
    const following = topic.known(this.position, atOnce)
    return Effect.flatMap(
      following === undefined ? Effect.orDie(Effect.retry(topic.after(this.position, atOnce), patiently)) : Effect.succeed(following),
      ({ entries, gap }) => {
        if (gap !== undefined) {
          this.hub.noteGap(gap)
          this.position = gap.to
          return Effect.succeed<Events<A>>([gap])
        }
        if (entries.length === 0) return Effect.andThen(topic.moved, this.next)
        return this.decoded(entries)
      }
    )
  })

  /** Publications up to the first that cannot be decoded, at which the next pull fails. */
  private decoded(entries: ReadonlyArray<Recent>): Effect.Effect<Events<A>, Schema.SchemaError> {
    const { epoch } = this.position
    const events: Array<TopicEvent<A>> = []
    return Effect.forEach(entries, ({ key, offset, payload }) =>
      Effect.map(decode<A>(this.values, payload), (value) => {
        events.push({ _tag: "Publication", position: this.position = { epoch, offset }, key, value })
      }), { discard: true }).pipe(
        Effect.catchCause((cause) => events.length === 0 ? Effect.failCause(cause) : Effect.void),
        Effect.as(events as unknown as Events<A>)
      )
  }
}

/** The publications of a topic, from a position on. */
export const subscribe = <A>(
  hub: Hub,
  name: string,
  history: History,
  values: Values,
  since: Position | "start" | undefined
): Stream.Stream<TopicEvent<A>, BrokerError | Schema.SchemaError> =>
  Stream.unwrap(Effect.gen(function*() {
    const topic = yield* held(hub, name, history)
    const { gap, position } = yield* topic.resolve(since)
    if (gap !== undefined) hub.noteGap(gap)
    const begin: Array<TopicEvent<A>> = [{ _tag: "Subscribed", position: gap?.from ?? position, top: topic.top }, ...(gap === undefined ? [] : [gap])]
    const reader = new Reader<A>(topic, hub, values, position)
    return Stream.concat(Stream.fromArray(begin), Stream.fromPull(Effect.succeed(reader.next)))
  }))

/** The members of a topic, decoded. */
export const decodePresent = <A>({ count, isListed, members }: Present, values: Values) =>
  Effect.map(
    Effect.forEach(members, ([name, payload]) => Effect.map(decode<A>(values, payload), (value) => [name, value] as const)),
    (decoded) => ({ count, isListed, members: new Map(decoded) })
  )

/** Who is present in a topic, now and at every change. */
export const presence = <A>(hub: Hub, name: string, history: History, values: Values) =>
  Stream.unwrap(Effect.gen(function*() {
    const changed = Latch.makeUnsafe()
    const tell = () => {
      changed.openUnsafe()
      return true
    }
    const missed = (watch: Watch) => {
      watch.isBehind = false
      tell()
    }
    const watch = yield* Effect.acquireRelease(
      Effect.map(hub.hold(name, history), (topic) => hub.watch(topic, { offer: tell, missed })),
      (watch) => Effect.sync(() => hub.unwatch(watch)),
      { interruptible: true }
    )
    return Stream.fromEffectRepeat(Effect.suspend(() => Effect.andThen(changed.await, Effect.suspend(() => {
      changed.closeUnsafe()
      return decodePresent<A>(watch.watched.present, values)
    }))))
  }))
