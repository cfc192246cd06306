/** Who a client is, for as long as that is valid: shown by its request, or by a token in a message, and again before it expires. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Messages from "../wire/Messages.ts"
import * as Answers from "./Answers.ts"
import type { Caller, Doing } from "./Caller.ts"
import { cutReason } from "./Reasons.ts"

/** Who a client is. */
export interface Identity {
  readonly claims: unknown
  readonly expires?: DateTime.DateTime | undefined
}

/** Why a client is not let in. */
export interface Unauthorized {
  readonly reason: string
  readonly status: 401 | 403
}

export type FromToken = (token: string, claims: unknown) => Effect.Effect<Identity, Unauthorized>

/** Closes the connection, as the status of HTTP would have said. */
export const refuse = (caller: Caller, { reason, status }: Unauthorized): Effect.Effect<void> =>
  Effect.asVoid(Effect.orDie(caller.session.ws.close(4000 + status, cutReason(reason))))

export class Credentials {
  private readonly caller: Caller
  private readonly fromToken: FromToken | undefined
  private timer: Fiber.Fiber<unknown, unknown> | undefined

  constructor(caller: Caller, fromToken: FromToken | undefined) {
    this.caller = caller
    this.fromToken = fromToken
  }

  /** Waits for a token, for a while. */
  expect(): void {
    this.caller.isKnown = false
    this.after(
      this.caller.session.limits.authentication.within,
      refuse(this.caller, { status: 401, reason: "no token arrived in time" })
    )
  }

  /** The client is who it says, until that expires. */
  accept({ claims, expires }: Identity): void {
    const { caller } = this
    caller.claims = claims
    caller.isKnown = true
    this.stop()
    if (expires === undefined) return
    const { session } = caller
    const { hub, limits } = session
    const end = DateTime.toEpochMillis(expires)
    const left = () => Math.max(0, end - hub.calendar)
    const expire = Effect.suspend(() => {
      // What is still read is not done any more.
      caller.isKnown = false
      return refuse(caller, { status: 401, reason: "the credentials have expired" })
    })
    const notice = Effect.suspend(() => session.send(Answers.expiring(left())))
    const life = left()
    this.after(
      // What lives shortly is told of halfway: a fresh token is not asked for at once again.
      Math.max(life - limits.authentication.notice, life / 2),
      Effect.andThen(notice, Effect.suspend(() => Effect.andThen(Effect.sleep(Duration.millis(left())), expire)))
    )
  }

  private stop(): void {
    this.timer?.interruptUnsafe()
    this.timer = undefined
  }

  private after(millis: number, effect: Effect.Effect<void>): void {
    this.stop()
    this.timer = this.caller.session.fork(Effect.andThen(Effect.sleep(Duration.millis(millis)), effect))
  }

  /** A token in a message. What is allowed no more ends. */
  authenticate({ id, token }: typeof Messages.Authenticate.Type): Doing {
    const { caller, fromToken } = this
    if (fromToken === undefined) return Effect.fail(new Answers.Failure("refused", "no tokens are taken here"))
    return Effect.suspend(() => fromToken(token, caller.claims)).pipe(
      Effect.mapError(({ reason }) => new Answers.Failure("refused", reason)),
      Effect.flatMap((identity) => {
        const isNew = !caller.isKnown
        this.accept(identity)
        const answered = caller.session.send(Answers.done(id))
        return isNew ? answered : Effect.andThen(caller.checkAll(), answered)
      })
    )
  }
}
