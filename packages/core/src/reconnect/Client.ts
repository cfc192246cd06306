/** The client that comes back: one fiber keeps a connection, and the methods use it. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Message, Sendable } from "../Message.ts"
import type { WebSocket } from "../WebSocket.ts"
import { ConnectionClosed, DeliveryUnknown, type InvalidArgument, IOError, NotConnected, ProtocolError } from "../WebSocketError.ts"
import { Attempts, type Opened, type Plan } from "./Attempts.ts"
import { givenUp, listening } from "./Liveness.ts"
import { type End, Session, Sessions } from "./Sessions.ts"
import type { Status } from "./Status.ts"
import type { Loss } from "./Verdict.ts"

export type WhileAway = "wait" | "fail" | "drop"

export interface SendOptions {
  readonly whileAway?: WhileAway | undefined
  readonly flush?: boolean | undefined
}

export interface Sending {
  readonly whileAway: WhileAway
  readonly maxWaiting: number
}

/** Begins to keep a connection, until the scope ends. */
export const make = <E>(plan: Omit<Plan<E>, "report">, sending: Sending): Effect.Effect<Client<E>, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const status = yield* SubscriptionRef.make<Status<E>>({ _tag: "Connecting", attempt: 1, loss: undefined })
      const client = new Client(status, plan, sending, yield* Scope.make())
      yield* client.start
      return client
    }),
    (client, exit) => client.release(exit)
  )

export class Client<E> {
  private readonly ref: SubscriptionRef.SubscriptionRef<Status<E>>
  private readonly sessions = new Sessions<Loss<E>>()
  private readonly attempts: Attempts<E>
  private readonly sending: Sending
  private waiting = 0
  private dropped_ = 0
  // A connection broke while it held messages, and no flush has reported it yet.
  private unknown: DeliveryUnknown | undefined
  private readonly probe = Latch.makeUnsafe()
  private readonly maxSilence: number
  // Holds the connections.
  private readonly scope: Scope.Closeable
  private isFinished = false
  private keeper: Fiber.Fiber<void> | undefined

  constructor(
    ref: SubscriptionRef.SubscriptionRef<Status<E>>,
    plan: Omit<Plan<E>, "report">,
    sending: Sending,
    scope: Scope.Closeable
  ) {
    this.ref = ref
    this.sending = sending
    this.scope = scope
    this.maxSilence = plan.maxSilence
    this.attempts = new Attempts({
      ...plan,
      // The first attempt is the first status.
      report: (status) =>
        this.isFinished || (status._tag === "Connecting" && status.loss === undefined)
          ? Effect.void
          : SubscriptionRef.set(ref, status)
    })
  }

  // --- what programs see ------------------------------------------------------------------

  get status(): Effect.Effect<Status<E>> {
    return Effect.suspend(() => {
      const status = SubscriptionRef.getUnsafe(this.ref)
      const { current } = this.sessions
      if (status._tag !== "Open" || current === undefined) return Effect.succeed(status)
      return Effect.map(current.ws.stats, ({ roundTrip }) => ({ ...status, roundTrip }))
    })
  }

  get statuses(): Stream.Stream<Status<E>> {
    return Stream.takeUntil(SubscriptionRef.changes(this.ref), (status) => status._tag === "Ended")
  }

  get messages(): Stream.Stream<Message, Loss<E>> {
    return this.read((ws) => ws.messages)
  }

  readonly read = <A, E2, R>(
    f: (ws: WebSocket) => Stream.Stream<A, ProtocolError | IOError | E2, R>
  ): Stream.Stream<A, Loss<E> | Exclude<E2, ProtocolError | IOError>, R> => {
    const { sessions } = this
    const next = Effect.flatMap(
      sessions.toRead,
      (found) => found instanceof Session ? Effect.succeed([found] as const) : Effect.failCause(found)
    )
    const reading = Effect.acquireRelease(
      Effect.suspend(() => {
        if (sessions.isReading) return Effect.die(new Error("The messages of this client are being read already; it has one reader at a time"))
        sessions.startReading()
        return Effect.void
      }),
      () => Effect.sync(() => sessions.stopReading())
    )
    return Stream.unwrap(Effect.as(
      reading,
      Stream.flatMap(Stream.fromPull(Effect.succeed(next)), (session) =>
        f(session.ws).pipe(
          Stream.catch((error) => {
            if (!isConnections(error)) return Stream.fail(error as Exclude<E2, ProtocolError | IOError>)
            session.failure = error
            return Stream.empty
          }),
          Stream.concat(Stream.suspend(() => {
            sessions.wasRead(session)
            return Stream.empty
          }))
        ))
    ))
  }

  get connection(): Effect.Effect<WebSocket, NotConnected> {
    return Effect.map(this.session, ({ ws }) => ws)
  }

  readonly send = (message: Sendable, options?: SendOptions): Effect.Effect<void, NotConnected | DeliveryUnknown> =>
    this.sendAs(message, options)

  /** Sends a message that is the same for each connection, or is made for the one that accepts it. */
  sendAs<E2 = never>(
    message: Sendable | ((ws: WebSocket) => Effect.Effect<Sendable, E2>),
    options?: SendOptions
  ): Effect.Effect<void, NotConnected | DeliveryUnknown | E2> {
    return Effect.suspend(() => {
      const { current } = this.sessions
      return current === undefined || current.isOver
        ? this.away(message, options)
        : this.handOver(current, message, options)
    })
  }

  get sink(): Sink.Sink<void, Sendable, never, NotConnected | DeliveryUnknown> {
    return Sink.forEach((message: Sendable) => this.send(message))
  }

  get flush(): Effect.Effect<void, DeliveryUnknown> {
    return Effect.suspend(() => {
      const { unknown } = this
      this.unknown = undefined
      if (unknown !== undefined) return Effect.fail(unknown)
      const { current } = this.sessions
      return current === undefined ? Effect.void : this.flushed(current)
    })
  }

  get dropped(): Effect.Effect<number> {
    return Effect.sync(() => this.dropped_)
  }

  get retryNow(): Effect.Effect<void> {
    return Effect.sync(() => this.attempts.force())
  }

  readonly close = (code?: number, reason?: string): Effect.Effect<void, InvalidArgument> =>
    Effect.suspend(() => {
      const { current } = this.sessions
      if (current === undefined) return this.stop
      return Effect.andThen(Effect.forkChild(current.ws.close(code, reason), { startImmediately: true }), (closing) => {
        // A code that cannot be sent ends nothing.
        const exit = closing.pollUnsafe()
        if (exit !== undefined && Exit.isFailure(exit)) return exit
        return Effect.andThen(this.stop, Effect.asVoid(Fiber.join(closing)))
      })
    })

  /** Ends the client with an error, and begins to close what is open. */
  fail(error: Loss<E>, code: number, reason: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { current } = this.sessions
      return (current === undefined ? Effect.void : begun(current.ws.close(code, reason))).pipe(
        Effect.andThen(this.finish(Cause.fail(error))),
        Effect.andThen(this.stop)
      )
    })
  }

  // --- sending ----------------------------------------------------------------------------

  private away<E2>(
    message: Sendable | ((ws: WebSocket) => Effect.Effect<Sendable, E2>),
    options: SendOptions | undefined
  ): Effect.Effect<void, NotConnected | DeliveryUnknown | E2> {
    if (this.sessions.hasEnded) return Effect.fail(this.notConnected("Ended"))
    switch (options?.whileAway ?? this.sending.whileAway) {
      case "fail":
        return Effect.fail(this.notConnected("Away"))
      case "drop":
        this.dropped_++
        return Effect.void
      case "wait":
        if (this.waiting >= this.sending.maxWaiting) return Effect.fail(this.notConnected("TooManyWaiting"))
        this.waiting++
        return this.session.pipe(
          Effect.ensuring(Effect.sync(() => this.waiting--)),
          Effect.flatMap((session) => this.handOver(session, message, options))
        )
    }
  }

  private handOver<E2>(
    session: Session,
    message: Sendable | ((ws: WebSocket) => Effect.Effect<Sendable, E2>),
    options: SendOptions | undefined
  ): Effect.Effect<void, NotConnected | DeliveryUnknown | E2> {
    const { ws } = session
    const send = (message: Sendable) => {
      session.sent++
      return Effect.mapError(ws.send(message), (error) => {
        session.sent--
        return this.notConnected("Lost", error)
      })
    }
    const sent = typeof message === "function" ? Effect.flatMapEager(message(ws), send) : send(message)
    return options?.flush === true ? Effect.andThen(sent, this.flushed(session)) : sent
  }

  private flushed(session: Session): Effect.Effect<void, DeliveryUnknown> {
    return Effect.suspend(() => {
      const { sent } = session
      return Effect.matchEffect(session.ws.flush, {
        onFailure: (cause) => {
          // The flush that waits here reports it, so no later one has to.
          session.taken = session.sent
          this.unknown = undefined
          return Effect.fail(new DeliveryUnknown({ cause }))
        },
        onSuccess: () => {
          session.taken = Math.max(session.taken, sent)
          return Effect.void
        }
      })
    })
  }

  private notConnected(reason: NotConnected["reason"], cause: unknown = this.attempts.loss): NotConnected {
    return new NotConnected({ reason, ...(cause !== undefined && { cause }) })
  }

  /** The session that is open, or the next one. */
  private get session(): Effect.Effect<Session, NotConnected> {
    return Effect.flatMap(
      this.sessions.toSend,
      (found) => found === undefined ? Effect.fail(this.notConnected("Ended")) : Effect.succeed(found)
    )
  }

  // --- keeping a connection ---------------------------------------------------------------

  /** Begins to keep a connection. */
  get start(): Effect.Effect<void> {
    return Effect.map(Effect.forkDetach(Effect.interruptible(this.keep)), (fiber) => {
      this.keeper = fiber
    })
  }

  /** Stops dialling. An open connection stays open. */
  private get stop(): Effect.Effect<void> {
    return Effect.andThen(this.finish(undefined), Effect.suspend(() => Fiber.interrupt(this.keeper!)))
  }

  /** Stops dialling, and closes an open connection. */
  release(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.andThen(this.stop, Scope.close(this.scope, exit))
  }

  private readonly keep = Effect.gen({ self: this }, function*() {
    yield* listening(() => {
      this.attempts.nudge()
      this.probe.openUnsafe()
    })
    while (true) yield* this.keepOne
  }).pipe(
    Effect.scoped,
    Effect.catchCause((cause) => this.finish(cause))
  )

  /** Opens a connection, waits until it is lost, and then until the next attempt may begin. */
  private readonly keepOne: Effect.Effect<void, Loss<E>> = Effect.gen({ self: this }, function*() {
    const opened = yield* this.attempts.next(this.scope)
    const session = new Session(opened.ws)
    this.sessions.open(session)
    const loss = yield* this.loss(session)
    session.isOver = true
    const { bytesUnread } = yield* session.ws.stats
    const abandoned = this.sessions.leave(session, bytesUnread > 0)
    yield* this.retire(opened, session, loss)
    if (abandoned !== undefined) yield* this.abandon(abandoned)
    yield* this.attempts.lost(loss)
    if (this.sessions.hasRoom) return
    yield* this.attempts.hold(loss)
    yield* this.sessions.room
  })

  /** Waits until the session is lost, and returns why. */
  private loss(session: Session): Effect.Effect<Loss<E>> {
    const { ws } = session
    const lost = Effect.gen({ self: this }, function*() {
      const info = yield* ws.closing
      session.isOver = true
      // The reader may know the cause. If it was waiting, it runs now.
      yield* Effect.yieldNow
      const loss = session.failure ?? (info.code === 1006 ? yield* broken(ws) : new ConnectionClosed({ info }))
      if (info.code === 1006) this.lose(session, loss)
      return loss
    })
    return Effect.raceFirst(lost, givenUp(ws, this.probe, this.maxSilence))
  }

  /** Ends a session without delaying the next attempt. */
  private retire({ scope, ws }: Opened, session: Session, loss: Loss<E>): Effect.Effect<unknown> {
    return Scope.close(scope, Exit.void).pipe(
      Effect.andThen(ws.closed),
      Effect.map(({ clean }) => clean || this.lose(session, loss)),
      Effect.uninterruptible,
      Effect.forkIn(this.scope)
    )
  }

  /** Drops the messages of a session that has no reader, and counts them. */
  private abandon({ ws }: Session): Effect.Effect<unknown> {
    const counted = Stream.runForEach(ws.messages, () => Effect.sync(() => this.dropped_++))
    return Effect.forkIn(Effect.ignore(counted), this.scope)
  }

  /** Notes that messages may be lost: the session accepted them, and its transport may not have taken them. */
  private lose(session: Session, cause: unknown): void {
    if (session.sent > session.taken) this.unknown = new DeliveryUnknown({ cause })
    session.taken = session.sent
  }

  /** No more connections are made. */
  private finish(end: End<Loss<E>>): Effect.Effect<void> {
    return Effect.uninterruptible(Effect.suspend(() => {
      if (this.isFinished) return Effect.void
      this.isFinished = true
      const found = end === undefined ? undefined : Cause.findErrorOption(end)
      const loss = found?._tag === "Some" ? found.value : undefined
      if (loss !== undefined) this.attempts.loss = loss
      // The status is set first, for code that learns of the end in another way and then reads the status.
      return Effect.map(SubscriptionRef.set(this.ref, { _tag: "Ended", loss }), () => this.sessions.finish(end))
    }))
  }
}

const isConnections = (error: unknown): error is ProtocolError | IOError =>
  error instanceof ProtocolError || error instanceof IOError

/** Why a connection ended without a Close. */
const broken = (ws: WebSocket): Effect.Effect<IOError | ConnectionClosed> =>
  Effect.flatMap(Effect.forkChild(Effect.flip(ws.flush), { startImmediately: true }), (fiber) => {
    const exit = fiber.pollUnsafe()
    if (exit !== undefined && Exit.isSuccess(exit)) return Effect.succeed(exit.value)
    // The peer ended its stream, and the reader has not reached that yet.
    const detail = "The connection ended without a Close frame"
    return Effect.as(Fiber.interrupt(fiber), new IOError({ phase: "read", reason: "EndOfStream", detail }))
  })

/** Runs an effect that nothing waits for. */
export const begun = (effect: Effect.Effect<unknown, unknown>): Effect.Effect<void> =>
  Effect.asVoid(Effect.forkDetach(Effect.ignore(effect), { startImmediately: true }))
