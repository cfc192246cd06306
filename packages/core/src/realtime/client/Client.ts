/** What programs do with a client of topics, above the {@link Hub}. */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { portable } from "../../Primitives.ts"
import type { Client as Reconnecting } from "../../reconnect/Client.ts"
import type { Status } from "../../reconnect/Status.ts"
import type { Loss } from "../../reconnect/Verdict.ts"
import { type InvalidArgument, NotConnected } from "../../WebSocketError.ts"
import type { Position } from "../Broker.ts"
import { ofProgram } from "../telemetry/Spans.ts"
import * as Topic from "../Topic.ts"
import type { TopicEvent } from "../TopicEvent.ts"
import * as Messages from "../wire/Messages.ts"
import { isDeeper } from "../wire/Nesting.ts"
import { decoderOf, encoderOf } from "./Codec.ts"
import { failureOf, InvalidValue, type PublishUnknown, Refused, TopicError } from "./Errors.ts"
import { eventsOf, type Present, presentOf } from "./Events.ts"
import type { Hub } from "./Hub.ts"
import { Join } from "./Joins.ts"
import { Pending } from "./Publications.ts"
import { type Item, Reader } from "./Reader.ts"
import type { SignalItem } from "./Channel.ts"
import type { Members } from "./Watch.ts"

export interface SubscribeOptions {
  readonly since?: Position | "start" | undefined
  readonly snapshot?: boolean | undefined
  readonly bufferSize?: number | undefined
}

export interface PublishOptions {
  readonly key?: string | undefined
  readonly timeout?: Duration.Input | undefined
}

export interface Acknowledged extends Position {
  readonly key: string
  readonly duplicate: boolean
}

export interface Signal<out A> {
  readonly from: string
  readonly value: A
}

/** Why a server does not do what is asked of a topic of the family. */
export type RefusalOf<T extends Topic.Any> = T["refusal"]["Type"] | TopicError | InvalidValue

export interface Joined<out E> {
  readonly ended: Effect.Effect<never, E>
}

const isPosition = Schema.is(Messages.Position)

/** A name that the subprotocol can carry. Another one would cost the connection, again and again. */
const bounded = (operation: TopicError["operation"], topic: string, what: string, text: string): Effect.Effect<void, TopicError> =>
  Messages.isKey(text)
    ? Effect.void
    : Effect.fail(new TopicError({ operation, topic, code: "invalid", detail: Messages.keyRule(what, text) }))

/** A value as JSON text. One that is nested deeper than the subprotocol allows would cost the connection, again and again. */
const shallow = (operation: TopicError["operation"], topic: string, json: Schema.Json): Effect.Effect<string, TopicError> => {
  const text = JSON.stringify(json)
  return isDeeper(text, Messages.deepestValue)
    ? Effect.fail(new TopicError({ operation, topic, code: "invalid", detail: `the value is nested deeper than ${Messages.deepestValue} levels` }))
    : Effect.succeed(text)
}

/** Nobody can guess it, and so nobody can use it before. */
const newKey = (): string => {
  const bytes = new Uint8Array(16)
  portable.randomFill(bytes)
  return Base64.encode(bytes)
}

export class Client<E> {
  private readonly client: Reconnecting<E>
  private readonly hub: Hub<Loss<E>>

  constructor(client: Reconnecting<E>, hub: Hub<Loss<E>>) {
    this.client = client
    this.hub = hub
  }

  get status(): Effect.Effect<Status<E>> {
    return this.client.status
  }

  get statuses(): Stream.Stream<Status<E>> {
    return this.client.statuses
  }

  get retryNow(): Effect.Effect<void> {
    return this.client.retryNow
  }

  readonly close = (code?: number, reason?: string): Effect.Effect<void, InvalidArgument> => this.client.close(code, reason)

  readonly subscribe = <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    { bufferSize = 1000, since, snapshot = false }: SubscribeOptions = {}
  ): Stream.Stream<
    TopicEvent<T["publication"]["Type"], T["snapshot"]["Type"]>,
    RefusalOf<T> | Loss<E>,
    T["publication"]["DecodingServices"] | T["snapshot"]["DecodingServices"] | T["refusal"]["DecodingServices"]
  > => {
    return Stream.unwrap(Effect.gen({ self: this }, function*() {
      const topic = Topic.nameOf(family, params)
      if (since !== undefined && since !== "start" && !isPosition(since)) {
        return yield* Effect.die(new Error(`A subscription begins at a position, which ${JSON.stringify(since)} is not`))
      }
      const queue = yield* Queue.dropping<Item, Loss<E> | Refused | Cause.Done>(Math.max(1, bufferSize))
      const reader = new Reader(queue, since, snapshot, this.hub.calls.counts)
      const { drained } = yield* Effect.acquireRelease(
        Effect.sync(() => this.hub.read(topic, reader)),
        ({ stop }) => Effect.sync(stop)
      )
      const pull = Effect.suspend(() => {
        if (reader.isBehind && Queue.sizeUnsafe(queue) === 0) drained()
        return Queue.takeAll(queue)
      })
      return Stream.fromPull(Effect.succeed(pull)).pipe(
        Stream.mapEffect(eventsOf(family, topic)),
        Stream.flattenIterable,
        refusals(family)
      )
    }))
  }

  readonly publish = <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    value: T["publication"]["Type"],
    { key = newKey(), timeout = "1 minute" }: PublishOptions = {}
  ): Effect.Effect<
    Acknowledged,
    RefusalOf<T> | PublishUnknown | NotConnected | Schema.SchemaError,
    T["publication"]["EncodingServices"] | T["refusal"]["DecodingServices"]
  > => {
    const { hub } = this
    return Effect.gen(function*() {
      const topic = Topic.nameOf(family, params)
      yield* bounded("publish", topic, "a key", key)
      const text = yield* shallow("publish", topic, yield* encoderOf(family.publication)(value))
      if (hub.ending !== undefined) return yield* new NotConnected({ reason: "Ended" })
      if (!hub.publications.hasRoom) return yield* new NotConnected({ reason: "TooManyWaiting" })
      // The answer to the last sending must come while the key is still remembered.
      const pending = new Pending(topic, key, text, family.history.keyTimeToLive / 2)
      const published = Effect.acquireUseRelease(
        Effect.sync(() => hub.publications.add(pending)),
        () =>
          Effect.timeoutOrElse(Deferred.await(pending.outcome), {
            duration: timeout,
            orElse: () => Effect.fail(pending.givenUp("Away", undefined))
          }),
        () => Effect.sync(() => hub.publications.remove(pending))
      )
      const { duplicate, position } = yield* ofProgram(published, () => ({ operation: "publish", family: family.path, topic }))
      return { ...position, key, duplicate }
    }).pipe(Effect.catch((error) => error instanceof Refused ? failureOf(family, error) : Effect.fail(error)))
  }

  readonly signal = <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    value: T["signal"]["Type"]
  ): Effect.Effect<void, Schema.SchemaError | TopicError, T["signal"]["EncodingServices"]> => {
    return Effect.gen({ self: this }, function*() {
      const topic = Topic.nameOf(family, params)
      const json = yield* encoderOf(family.signal)(value)
      yield* shallow("signal", topic, json)
      this.hub.calls.pass(topic, { type: "signal", topic, value: json })
    })
  }

  readonly signals = <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    { bufferSize = 64 }: { readonly bufferSize?: number | undefined } = {}
  ): Stream.Stream<
    Signal<T["signal"]["Type"]>,
    RefusalOf<T> | Loss<E>,
    T["signal"]["DecodingServices"] | T["refusal"]["DecodingServices"]
  > => {
    return Stream.unwrap(Effect.gen({ self: this }, function*() {
      const topic = Topic.nameOf(family, params)
      const queue = yield* Queue.sliding<SignalItem, Loss<E> | Refused | Cause.Done>(Math.max(1, bufferSize))
      yield* Effect.acquireRelease(Effect.sync(() => this.hub.listen(topic, queue)), (stop) => Effect.sync(stop))
      return Stream.fromQueue(queue).pipe(
        Stream.mapEffect(({ from, value }) =>
          Effect.mapBoth(decoderOf(family.signal)(value), {
            onFailure: (cause) => new InvalidValue({ topic, what: "signal", cause }),
            onSuccess: (value) => ({ from, value })
          })
        ),
        refusals(family)
      )
    }))
  }

  readonly join = <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    member: string,
    value: T["member"]["Type"]
  ): Effect.Effect<
    Joined<RefusalOf<T> | NotConnected | Loss<E>>,
    RefusalOf<T> | NotConnected | Schema.SchemaError | Loss<E>,
    Scope.Scope | T["member"]["EncodingServices"] | T["refusal"]["DecodingServices"]
  > => {
    return Effect.gen({ self: this }, function*() {
      const topic = Topic.nameOf(family, params)
      const context = yield* Effect.context<T["refusal"]["DecodingServices"]>()
      const refused = (error: Loss<E> | NotConnected | Refused): Effect.Effect<never, RefusalOf<T> | NotConnected | Loss<E>> =>
        error instanceof Refused ? Effect.provideContext(failureOf(family, error), context) : Effect.fail(error)
      yield* bounded("join", topic, "the name of a member", member)
      const json = yield* encoderOf(family.member)(value)
      yield* shallow("join", topic, json)
      const join = new Join<Loss<E>>(member, json)
      yield* Effect.acquireRelease(Effect.sync(() => this.hub.join(topic, join)), (stop) => Effect.sync(stop))
      const present = Effect.catch(Deferred.await(join.present), refused)
      yield* ofProgram(present, () => ({ operation: "join", family: family.path, topic }), "client")
      return { ended: Effect.catch(Deferred.await(join.ended), refused) }
    })
  }

  readonly presence = <T extends Topic.Any>(family: T, params: Topic.Params<T>): Stream.Stream<
    Present<T["member"]["Type"]>,
    RefusalOf<T> | Loss<E>,
    T["member"]["DecodingServices"] | T["refusal"]["DecodingServices"]
  > => {
    return Stream.unwrap(Effect.gen({ self: this }, function*() {
      const topic = Topic.nameOf(family, params)
      const queue = yield* Queue.sliding<Members, Loss<E> | Refused | Cause.Done>(1)
      yield* Effect.acquireRelease(Effect.sync(() => this.hub.watch(topic, queue)), (stop) => Effect.sync(stop))
      return Stream.fromQueue(queue).pipe(Stream.mapEffect(presentOf(family, topic)), refusals(family))
    }))
  }
}

/** A refusal as the family's error. */
const refusals = <T extends Topic.Any>(family: T) =>
<A, E, R>(
  stream: Stream.Stream<A, E | Refused, R>
): Stream.Stream<A, Exclude<E, Refused> | RefusalOf<T>, R | T["refusal"]["DecodingServices"]> =>
  Stream.catch(
    stream,
    (error): Stream.Stream<never, Exclude<E, Refused> | RefusalOf<T>, T["refusal"]["DecodingServices"]> =>
      error instanceof Refused ? Stream.fromEffect(failureOf(family, error)) : Stream.fail(error as Exclude<E, Refused>)
  )
