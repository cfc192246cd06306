/** What a client asks for on its connection, one request at a time or several, and the answers. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { BrokerError, Position } from "../Broker.ts"
import type { Gap } from "../TopicEvent.ts"
import type * as Messages from "../wire/Messages.ts"
import * as Answers from "./Answers.ts"
import { type Asked, authorizerOf, type Families, type Invalid, type Named, type Operation } from "./Family.ts"
import { type LiveTopic, Subscription } from "./LiveTopic.ts"
import type { Session } from "./Session.ts"
import { Pace, Turns } from "./Turns.ts"

type Request = Messages.ToServer
type Of<Type extends Request["type"]> = Extract<Request, { readonly type: Type }>

const { Failure } = Answers

/** An effect that does what was asked and answers, or says why not. */
type Doing<A = void> = Effect.Effect<A, Answers.Failure>

const unavailable = ({ applied }: BrokerError) =>
  applied === "no"
    ? new Failure("unavailable", "the broker failed; nothing was applied")
    : new Failure("unknown", "the broker failed, or has not answered; it may have been applied")

/** The broker failed where nothing can be half done. */
const notDone = () => new Failure("unavailable", "the broker failed")

export class Requests {
  private readonly session: Session
  private readonly families: Families
  private claims: unknown
  private readonly turns = new Turns()
  private readonly pace: Pace
  private underWay = 0
  private resume: (() => void) | undefined

  constructor(session: Session, families: Families, claims: unknown) {
    this.session = session
    this.families = families
    this.claims = claims
    this.pace = new Pace(session.limits.publish, session.hub.now())
  }

  /** Takes a request. It completes once the next one may be read. */
  readonly take = (request: Request): Effect.Effect<void> => {
    const isValue = request.type === "publish" || request.type === "signal"
    const wait = isValue ? this.pace.next(this.session.hub.now()) : 0
    return wait === 0 ? this.begin(request) : Effect.andThen(Effect.sleep(Duration.millis(wait)), this.begin(request))
  }

  private begin(request: Request): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.underWay >= this.session.limits.calls) return Effect.andThen(this.room, this.begin(request))
      this.underWay++
      const topic = "topic" in request ? request.topic : ""
      this.session.fork(Effect.ensuring(
        this.turns.take(topic, (endTurn) => this.answer(request, endTurn)),
        Effect.sync(this.ended)
      ))
      return Effect.void
    })
  }

  /** Waits until a request has ended. Only the reader of the connection waits. */
  private get room(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      this.resume = () => resume(Effect.void)
    })
  }

  private readonly ended = (): void => {
    this.underWay--
    const { resume } = this
    this.resume = undefined
    resume?.()
  }

  private answer(request: Request, endTurn: () => void): Effect.Effect<void> {
    return Effect.catchCause(this.do(request, endTurn), (cause) => {
      const failure = Cause.findErrorOption(cause)
      if (failure._tag === "Some") return this.session.send(Answers.failed(request.id, failure.value))
      if (Cause.hasInterrupts(cause)) return Effect.interrupt
      // A defect of the program: it is the program's to see, and the client's to know that nothing was done.
      return Effect.andThen(
        Effect.logError(`Topics: ${request.type} failed`, cause),
        this.session.send(Answers.failed(request.id, new Failure("unavailable", "the server failed")))
      )
    })
  }

  private do(request: Request, endTurn: () => void): Doing {
    switch (request.type) {
      case "subscribe":
        return this.subscribe(request)
      case "unsubscribe":
        return this.unsubscribe(request)
      case "publish":
        return this.publish(request, endTurn)
      case "signal":
        return this.signal(request)
      case "join":
      case "leave":
      case "watch":
      case "unwatch":
      case "authenticate":
        return Effect.fail(new Failure("refused", "not here"))
    }
  }

  /** The topic that a request is about. */
  private named(name: string): Doing<Named> {
    return Effect.suspend(() => {
      const named = this.families.find(name)
      return named === undefined
        ? Effect.fail(new Failure("unknown-topic", "no family of topics here has such a name"))
        : Effect.succeed(named)
    })
  }

  /** Fails where the program does not allow it. */
  private allow(named: Named, operation: Operation, about: Partial<Asked> = {}): Doing {
    const authorize = authorizerOf(named.family, operation)
    if (authorize === undefined) return Effect.void
    return refusable(named, Effect.suspend(() => authorize({ ...about, params: named.params, claims: this.claims })))
  }

  private subscribe({ id, since, snapshot = false, topic: name }: Of<"subscribe">): Doing {
    const { session } = this
    const { hub, limits, subscriptions } = session
    return Effect.gen({ self: this }, function*() {
      const named = yield* this.named(name)
      yield* this.allow(named, "subscribe")
      const isNew = !subscriptions.has(name)
      if (isNew && subscriptions.size + session.reserved >= limits.subscriptions) {
        return yield* Effect.fail(new Failure("limit", `a connection has at most ${limits.subscriptions} subscriptions`))
      }
      if (isNew) session.reserved++
      const subscribed = Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          restore(Effect.mapError(hub.hold(name, named.family.topic.history), notDone)),
          (topic) =>
            Effect.onExit(
              restore(this.subscribeTo(topic, named, id, since, snapshot)),
              (exit) => Exit.isFailure(exit) ? Effect.sync(() => hub.release(topic)) : Effect.void
            )
        ))
      yield* isNew ? Effect.ensuring(subscribed, Effect.sync(() => session.reserved--)) : subscribed
    })
  }

  private subscribeTo(
    topic: LiveTopic,
    named: Named,
    id: number,
    since: Position | "start" | undefined,
    wantsSnapshot: boolean
  ): Doing {
    const { session } = this
    return Effect.gen({ self: this }, function*() {
      const begin = yield* Effect.mapError(topic.resolve(since), notDone)
      let { gap, position } = bounded(begin, topic, session.limits.recovery, since)
      let snapshot: { readonly position: Position; readonly value: string } | undefined
      if (wantsSnapshot && named.family.snapshot !== undefined) {
        // Before the program is asked for it, so that it is not older than its position.
        const { position: at } = topic
        snapshot = { position: at, value: yield* this.snapshot(named, at) }
        // What it has in it is not sent, unless it was asked for.
        if (gap !== undefined || since === undefined) position = at
        gap = gap && { ...gap, to: at }
      }
      if (gap !== undefined) session.hub.noteGap(gap)
      if (since !== undefined) session.hub.counts.recoveries++
      const before = session.subscriptions.get(topic.name)
      if (before !== undefined) session.drop(before)
      yield* session.send(Answers.subscribed(id, topic.name, { position, top: topic.top, gap, snapshot }))
      session.add(new Subscription(topic, session, position))
    })
  }

  private snapshot(named: Named, position: Position): Doing<string> {
    const asked = { params: named.params, claims: this.claims, position }
    return Effect.flatMap(
      refusable(named, Effect.suspend(() => named.family.snapshot!(asked))),
      (value) => Effect.catch(named.schemas.of("snapshot").encode(value), (invalid) => Effect.die(invalid.error))
    )
  }

  private unsubscribe({ id, topic }: Of<"unsubscribe">): Doing {
    return Effect.suspend(() => {
      const subscription = this.session.subscriptions.get(topic)
      if (subscription !== undefined) this.session.drop(subscription)
      return this.session.send(Answers.done(id))
    })
  }

  /** A value of a message, decoded, and as the JSON text that is passed on. */
  private value(named: Named, what: "publication" | "signal", value: unknown): Doing<{ readonly value: unknown; readonly payload: string }> {
    const { size } = this.session.limits.publish
    const values = named.schemas.of(what)
    return Effect.flatMap(
      Effect.mapError(values.decode(value), invalid),
      (decoded) =>
        Effect.flatMap(Effect.mapError(values.encode(decoded), invalid), (payload) =>
          payload.length > size
            ? Effect.fail(new Failure("limit", `a value has at most ${size} characters of JSON text`))
            : Effect.succeed({ value: decoded, payload }))
    )
  }

  private publish({ id, key, topic, value }: Of<"publish">, endTurn: () => void): Doing {
    const { hub } = this.session
    return Effect.gen({ self: this }, function*() {
      const named = yield* this.named(topic)
      const { payload, value: decoded } = yield* this.value(named, "publication", value)
      yield* this.allow(named, "publish", { value: decoded, key })
      // Once it has begun, the next one may begin: the broker keeps their order.
      const published = hub.publish(topic, key, payload, named.family.topic.history, endTurn)
      const { duplicate, position } = yield* Effect.mapError(published, unavailable)
      yield* this.session.send(Answers.published(id, position, duplicate))
    })
  }

  private signal({ topic, value }: Of<"signal">): Doing {
    const { hub, id } = this.session
    return Effect.gen({ self: this }, function*() {
      const named = yield* this.named(topic)
      const { payload, value: decoded } = yield* this.value(named, "signal", value)
      yield* this.allow(named, "signal", { value: decoded })
      // It may be lost.
      yield* Effect.ignore(hub.signal(topic, id, payload))
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

interface Beginning {
  readonly position: Position
  readonly gap: Gap | undefined
}

/** The oldest publications are left out where there are more than a recovery may bring. */
const bounded = (begin: Beginning, topic: LiveTopic, most: number, since: Position | "start" | undefined): Beginning => {
  const { offset } = begin.position
  if (begin.position.epoch !== topic.epoch || topic.top - offset <= most) return begin
  const position = { epoch: topic.epoch, offset: topic.top - most }
  const from = begin.gap?.from ?? begin.position
  // Whoever begins at the start asks for what can be had.
  if (since === "start") return { position, gap: undefined }
  return { position, gap: { _tag: "Gap", reason: begin.gap?.reason ?? "history", from, to: position } }
}
