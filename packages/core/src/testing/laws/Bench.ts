/** What a law is written with: brokers on the same data, what they hear, and a claim that is right or breaks the law. */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Broker, BrokerError, Heard, History } from "../../realtime/Broker.ts"

export class Broken extends Data.TaggedError("Broken")<{ readonly reason: string }> {}

type Check<E, R, A = void> = Effect.Effect<A, Broken | BrokerError | E, R | Scope.Scope>

export interface LawOf<E, R> {
  readonly name: string
  readonly needs?: "lose"
  readonly check: (bench: Bench<E, R>) => Check<E, R>
}

/** A law that holds for whatever brokers are made of. */
export interface AnyLaw {
  readonly name: string
  readonly needs?: "lose"
  readonly check: <E, R>(bench: Bench<E, R>) => Check<E, R>
}

export const law = (
  name: string,
  check: <E, R>(bench: Bench<E, R>) => Generator<Check<E, R, unknown>, void, never>,
  needs?: "lose"
): AnyLaw => ({ name, check: (bench) => Effect.gen(() => check(bench)), ...(needs === undefined ? undefined : { needs }) })

export interface Settings<E, R> {
  readonly broker: Effect.Effect<Broker["Service"], E, R | Scope.Scope>
  readonly lose: Effect.Effect<void, E, R> | undefined
  readonly pass: (millis: number) => Effect.Effect<void>
  readonly patience: number
}

export const history: History = { size: 1000, timeToLive: 600_000, keyTimeToLive: 600_000 }

/** What a broker has heard so far. */
export class Ears {
  readonly all: Array<Heard> = []

  published(topic: string): ReadonlyArray<string> {
    return this.all.flatMap((heard) => heard._tag === "Published" && heard.topic === topic ? [heard.entry.payload] : [])
  }

  offsets(topic: string): ReadonlyArray<number> {
    return this.all.flatMap((heard) => heard._tag === "Published" && heard.topic === topic ? [heard.entry.offset] : [])
  }

  /** Whether something was heard, behind the first `since` of all. */
  has(tag: Heard["_tag"], topic: string, since = 0): boolean {
    return this.all.slice(since).some((heard) => heard._tag === tag && (heard.topic === topic || heard.topic === undefined))
  }
}

export class Bench<E, R> {
  private readonly settings: Settings<E, R>

  constructor(settings: Settings<E, R>) {
    this.settings = settings
  }

  /** The broker of another process. */
  get broker(): Effect.Effect<Broker["Service"], E, R | Scope.Scope> {
    return this.settings.broker
  }

  get lose(): Effect.Effect<void, E, R> {
    return this.settings.lose ?? Effect.void
  }

  pass(millis: number): Effect.Effect<void> {
    return this.settings.pass(millis)
  }

  /** A name that no other law and no other run uses. */
  readonly topic: Effect.Effect<string> = Effect.map(
    Effect.all([Clock.currentTimeMillis, Random.nextInt]),
    ([now, random]) => `laws/${now.toString(36)}${Math.abs(random).toString(36)}`
  )

  listen(broker: Broker["Service"]): Effect.Effect<Ears, never, Scope.Scope> {
    const ears = new Ears()
    return Effect.as(
      Effect.forkScoped(Stream.runForEach(broker.heard, (heard) => Effect.sync(() => ears.all.push(heard))), {
        startImmediately: true
      }),
      ears
    )
  }

  equal(what: string, actual: unknown, expected: unknown): Effect.Effect<void, Broken> {
    const [is, should] = [Formatter.format(actual), Formatter.format(expected)]
    return is === should ? Effect.void : Effect.fail(new Broken({ reason: `${what} is ${short(is)}, not ${short(should)}` }))
  }

  claim(what: string, holds: boolean): Effect.Effect<void, Broken> {
    return holds ? Effect.void : Effect.fail(new Broken({ reason: what }))
  }

  /** Waits until it holds. */
  eventually<E2 = never>(what: string, holds: Effect.Effect<boolean, E2>): Effect.Effect<void, Broken | E2> {
    const step = 20
    const from = (waited: number): Effect.Effect<void, Broken | E2> =>
      Effect.flatMap(holds, (holds) => {
        if (holds) return Effect.void
        if (waited >= this.settings.patience) return Effect.fail(new Broken({ reason: `it never came to this: ${what}` }))
        return Effect.andThen(this.pass(step), Effect.suspend(() => from(waited + step)))
      })
    return from(0)
  }

  /** Waits until so much of a topic was heard, and says if it is something else. */
  hears(ears: Ears, topic: string, payloads: ReadonlyArray<string>): Effect.Effect<void, Broken> {
    return Effect.andThen(
      this.eventually(
        `${payloads.length} publications are heard; they are ${short(Formatter.format(ears.published(topic)))}`,
        Effect.sync(() => ears.published(topic).length >= payloads.length)
      ),
      Effect.suspend(() => this.equal("what is heard", ears.published(topic), payloads))
    )
  }
}

const short = (text: string): string => text.length > 500 ? `${text.slice(0, 500)}…` : text
