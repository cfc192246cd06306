/** The client of a connection: who it claims to be, and what it may do. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { BrokerError, Position } from "../Broker.ts"
import { ended, Failure } from "./Answers.ts"
import { type Asked, authorizerOf, type Families, type Invalid, type Named, type Operation } from "./Family.ts"
import type { Client } from "./Hub.ts"
import { cutReason } from "./Reasons.ts"
import type { Session } from "./Session.ts"

/** The program died, or was interrupted by itself, before anything was applied. */
export const serverFailed = new Failure("defect", "the server failed")

/** An effect that does what was asked and answers, or says why not. */
export type Doing<A = void> = Effect.Effect<A, Failure>

const unavailable = ({ applied }: Pick<BrokerError, "applied">): Failure =>
  applied === "no"
    ? new Failure("unavailable", "the broker failed; nothing was applied")
    : new Failure("unknown", "the broker failed, or has not answered; it may have been applied")

/** What the broker does for a request. Where the hub ends meanwhile, as a server does that stops, nobody knows whether it was done. */
export const settled = <A>(doing: Effect.Effect<A, BrokerError>): Doing<A> =>
  Effect.catchCause(doing, (cause) => {
    const error = Cause.findErrorOption(cause)
    return Effect.fail(unavailable(error._tag === "Some" ? error.value : { applied: "unknown" }))
  })

/** The broker failed where nothing can be half done. */
export const notDone = (): Failure => new Failure("unavailable", "the broker failed")

export class Caller implements Client {
  readonly session: Session
  private readonly families: Families
  claims: unknown
  /** Whether it is known who the client is. */
  isKnown = true
  /** Counts what may have taken rights away. */
  revocations = 0
  // Topics of which something that lasts is about to be given, one at a time; and the message that has taken them away meanwhile.
  private given: Map<string, string | undefined> | undefined
  // How many places are taken by what is about to be made.
  private reserved: Map<ReadonlyMap<string, unknown>, number> | undefined

  constructor(session: Session, families: Families, claims: unknown) {
    this.session = session
    this.families = families
    this.claims = claims
  }

  /** The topic that a request is about. */
  named(name: string): Doing<Named> {
    return Effect.suspend(() => {
      const named = this.families.find(name)
      return named === undefined
        ? Effect.fail(new Failure("unknown-topic", "no family of topics here has such a name"))
        : Effect.succeed(named)
    })
  }

  /** Fails where the program does not allow it. */
  allow(named: Named, operation: Operation, about: Partial<Asked> = {}): Doing {
    const authorize = authorizerOf(named.family, operation)
    if (authorize === undefined) return Effect.void
    return refusable(named, Effect.suspend(() => authorize({ ...about, params: named.params, claims: this.claims })))
  }

  /** The snapshot of a topic, as JSON text. */
  snapshot(named: Named, position: Position): Doing<string> {
    const taken = Effect.suspend(() => named.family.snapshot!({ params: named.params, claims: this.claims, position }))
    const encoded = Effect.flatMap(
      refusable(named, taken),
      (value) => Effect.catch(named.schemas.of("snapshot").encode(value), (invalid) => Effect.die(invalid.error ?? invalid))
    )
    const { size } = this.session.limits.snapshot
    return Effect.flatMap(encoded, (text) => {
      if (text.length <= size) return Effect.succeed(text)
      const failure = new Failure("limit", `a snapshot has at most ${size} characters of JSON text`)
      return Effect.andThen(Effect.logWarning(`Topics: the snapshot has ${text.length} characters, and at most ${size} are sent`), Effect.fail(failure))
    })
  }

  /** Does what gives the client something that lasts; takes it back if the right to it went away in the meantime. */
  lasting(topic: string, doing: Doing): Doing {
    return Effect.suspend(() => {
      const { revocations, session } = this
      const given = this.given ??= new Map()
      given.set(topic, undefined)
      const checked = Effect.suspend(() => {
        const message = given.get(topic)
        if (message !== undefined) return session.takeAway(topic) ? session.send(message) : Effect.void
        return revocations === this.revocations ? Effect.void : this.check(topic)
      })
      return Effect.ensuring(Effect.andThen(doing, checked), Effect.sync(() => given.delete(topic)))
    })
  }

  /** Ends what is allowed no more, in all topics: the claims have changed. */
  checkAll(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.revocations++
      const { present, subscriptions, watches } = this.session
      const topics = new Set([...subscriptions.keys(), ...watches.keys(), ...present.keys()])
      return Effect.forEach(topics, (topic) => this.check(topic), { discard: true })
    })
  }

  /** Ends what is allowed no more in a topic. */
  private check(topic: string): Effect.Effect<void> {
    const { session } = this
    const named = this.families.find(topic)
    if (named === undefined) return Effect.void
    const allowed = Effect.gen({ self: this }, function*() {
      if (session.subscriptions.has(topic)) yield* this.allow(named, "subscribe")
      if (session.watches.has(topic)) yield* this.allow(named, "watch")
      const entered = session.present.get(topic)
      if (entered === undefined) return
      const decoded = named.schemas.of("member").decode(JSON.parse(entered.payload))
      const value = yield* Effect.mapError(decoded, invalid)
      yield* this.allow(named, "join", { member: entered.member, value })
    })
    return Effect.catchCause(allowed, (cause) => {
      const failure = Cause.findErrorOption(cause)
      // What the program cannot decide is not allowed.
      const { error, message } = failure._tag === "Some" ? failure.value : serverFailed
      const told = Effect.suspend(() => session.takeAway(topic) ? session.send(ended(topic, message, error)) : Effect.void)
      return failure._tag === "Some" ? told : Effect.andThen(told, Effect.logError("Topics: a right could not be checked again", cause))
    })
  }

  /** The path of the family that a topic is of. */
  pathOf(topic: string): string | undefined {
    return this.families.find(topic)?.family.topic.path
  }

  get lag(): number {
    return this.session.lag
  }

  serves(family: object): boolean {
    return this.families.has(family)
  }

  revoke(topic: string, message: string, error: string | undefined): void {
    this.revocations++
    if (!this.session.takeAway(topic)) return
    const text = ended(topic, message, error)
    // What is asked for at the same time belongs to what the client had.
    if (this.given?.has(topic) === true) this.given.set(topic, text)
    this.session.fork(this.session.send(text))
  }

  close(code: number, reason: string): void {
    this.session.fork(Effect.ignore(this.session.ws.close(code, cutReason(reason))))
  }

  /** A value of a message, decoded, and as the JSON text that is passed on. */
  value(
    named: Named,
    what: "publication" | "signal" | "member",
    value: unknown,
    most: number
  ): Doing<{ readonly value: unknown; readonly payload: string }> {
    const values = named.schemas.of(what)
    return Effect.flatMap(
      Effect.mapError(values.decode(value), invalid),
      (decoded) =>
        Effect.flatMap(Effect.mapError(values.encode(decoded), invalid), (payload) =>
          payload.length > most
            ? Effect.fail(new Failure("limit", `a value has at most ${most} characters of JSON text`))
            : Effect.succeed({ value: decoded, payload }))
    )
  }

  /** Runs what adds a topic to those in `taken`, if there is a place for it. */
  inPlace(taken: ReadonlyMap<string, unknown>, topic: string, doing: Doing): Doing {
    return Effect.suspend(() => {
      if (taken.has(topic)) return doing
      const most = this.session.limits.subscriptions
      const places = this.reserved ??= new Map()
      const reserved = places.get(taken) ?? 0
      if (taken.size + reserved >= most) return Effect.fail(new Failure("limit", `a connection has at most ${most} of these`))
      places.set(taken, reserved + 1)
      return Effect.ensuring(doing, Effect.sync(() => places.set(taken, places.get(taken)! - 1)))
    })
  }
}

const invalid = (error: Invalid) => new Failure("invalid", error.message)

/** An effect of the program whose failure is a refusal by the family's Schema. */
const refusable = <A>(named: Named, effect: Effect.Effect<A, unknown>): Doing<A> =>
  Effect.catch(effect, (refusal) =>
    Effect.matchEffect(named.schemas.of("refusal").encode(refusal), {
      onSuccess: (error) => Effect.fail(new Failure("refused", "the program does not allow it", error)),
      // Not what the family says: it is refused all the same.
      onFailure: () => Effect.fail(new Failure("refused", "the program does not allow it"))
    }))
