/** What a client asks for on its connection, one request at a time or several, and the answers. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Position } from "../Broker.ts"
import type { Gap } from "../TopicEvent.ts"
import { ofClient } from "../telemetry/Spans.ts"
import type * as Messages from "../wire/Messages.ts"
import * as Answers from "./Answers.ts"
import { type Caller, type Doing, notDone, serverFailed, settled } from "./Caller.ts"
import type { Credentials } from "./Credentials.ts"
import type { Named } from "./Family.ts"
import { holding } from "./Holding.ts"
import { type LiveTopic, Subscription } from "./LiveTopic.ts"
import * as Presences from "./Presences.ts"
import type { Session } from "./Session.ts"
import { Pace, Turns } from "./Turns.ts"

type Request = Messages.ToServer
type Of<Type extends Request["type"]> = Extract<Request, { readonly type: Type }>

export class Requests {
  private readonly caller: Caller
  private readonly credentials: Credentials
  private readonly session: Session
  private readonly turns = new Turns()
  private readonly pace: Pace
  private underWay = 0
  private resume: (() => void) | undefined

  constructor(caller: Caller, credentials: Credentials) {
    const { session } = caller
    this.caller = caller
    this.credentials = credentials
    this.session = session
    this.pace = new Pace(session.limits.publish, session.hub.now())
  }

  /** Takes a request. It completes once the next one may be read. */
  take(request: Request): Effect.Effect<void> {
    const { type } = request
    const wait = type === "publish" || type === "signal" || type === "authenticate" ? this.pace.next(this.session.hub.now()) : 0
    const begun = type === "authenticate" ? this.authenticate(request) : this.begin(request)
    return wait === 0 ? begun : Effect.andThen(Effect.sleep(Duration.millis(wait)), begun)
  }

  /** What is asked for behind a token is decided by it. */
  private authenticate(request: Of<"authenticate">): Effect.Effect<void> {
    return this.answer(request, this.credentials.authenticate(request))
  }

  private begin(request: Exclude<Request, Of<"authenticate">>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.underWay >= this.session.limits.calls) return Effect.andThen(this.room, this.begin(request))
      this.underWay++
      this.session.fork(Effect.ensuring(
        this.turns.take(request.topic, (endTurn) => this.answer(request, this.traced(request, endTurn))),
        Effect.sync(this.ended)
      ))
      return Effect.void
    })
  }

  /** Waits until a request has ended. Only the reader of the connection waits. */
  private get room(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      // One may have ended in the meantime.
      if (this.underWay < this.session.limits.calls) resume(Effect.void)
      else this.resume = () => resume(Effect.void)
    })
  }

  private readonly ended = (): void => {
    this.underWay--
    const { resume } = this
    this.resume = undefined
    resume?.()
  }

  private answer(request: Request, doing: Doing): Effect.Effect<void> {
    return Effect.catchCause(doing, (cause) => {
      const failure = Cause.findErrorOption(cause)
      if (failure._tag === "Some") return this.session.send(Answers.failed(request.id, failure.value))
      // A defect of the program, or an interruption by it: it is the program's to see, and the client's to know that nothing
      // was done. Where the connection has ended nobody comes here.
      return Effect.andThen(
        Effect.logError(`Topics: ${request.type} failed`, cause),
        this.session.send(Answers.failed(request.id, serverFailed))
      )
    })
  }

  private traced(request: Exclude<Request, Of<"authenticate">>, endTurn: () => void): Doing {
    return ofClient(this.do(request, endTurn), this.session.ws.id, () => ({
      operation: request.type,
      family: this.caller.pathOf(request.topic),
      topic: request.topic
    }))
  }

  private do(request: Exclude<Request, Of<"authenticate">>, endTurn: () => void): Doing {
    if (!this.caller.isKnown) return Effect.fail(unknownClient)
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
        return Presences.join(this.caller, request)
      case "leave":
        return Presences.leave(this.caller, request)
      case "watch":
        return Presences.watch(this.caller, request)
      case "unwatch":
        return Presences.unwatch(this.caller, request)
    }
  }

  private subscribe({ id, since, snapshot = false, topic: name }: Of<"subscribe">): Doing {
    const { session } = this
    return Effect.gen({ self: this }, function*() {
      const named = yield* this.caller.named(name)
      const subscribed = holding(session.hub, name, named, (topic) => this.subscribeTo(topic, named, id, since, snapshot))
      const placed = this.caller.inPlace(session.subscriptions, name, subscribed)
      yield* this.caller.lasting(name, Effect.andThen(this.caller.allow(named, "subscribe"), placed))
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
        snapshot = { position: at, value: yield* this.caller.snapshot(named, at) }
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

  private unsubscribe({ id, topic }: Of<"unsubscribe">): Doing {
    return Effect.suspend(() => {
      const subscription = this.session.subscriptions.get(topic)
      if (subscription !== undefined) this.session.drop(subscription)
      return this.session.send(Answers.done(id))
    })
  }

  private publish({ id, key, topic, value }: Of<"publish">, endTurn: () => void): Doing {
    const { hub, limits } = this.session
    return Effect.gen({ self: this }, function*() {
      const named = yield* this.caller.named(topic)
      const { payload, value: decoded } = yield* this.caller.value(named, "publication", value, limits.publish.size)
      yield* this.caller.allow(named, "publish", { value: decoded, key })
      // Once it has begun, the next one may begin: the broker keeps their order.
      const published = hub.publish(topic, key, payload, named.family.topic.history, endTurn)
      const { duplicate, position } = yield* settled(published)
      yield* this.session.send(Answers.published(id, position, duplicate))
    })
  }

  private signal({ topic, value }: Of<"signal">): Doing {
    const { hub, id, limits, present } = this.session
    return Effect.gen({ self: this }, function*() {
      const named = yield* this.caller.named(topic)
      const { payload, value: decoded } = yield* this.caller.value(named, "signal", value, limits.publish.size)
      yield* this.caller.allow(named, "signal", { value: decoded })
      // It may be lost.
      yield* Effect.ignore(hub.signal(topic, id, present.get(topic)?.member, payload))
    })
  }
}

const unknownClient = new Answers.Failure("refused", "authenticate first")

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
