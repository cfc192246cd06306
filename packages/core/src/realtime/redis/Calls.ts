/** Calls of the scripts, each within its deadline. What they answer is checked. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import * as Schema from "effect/Schema"
import * as Deadlines from "../../runtime/Deadlines.ts"
import * as Lua from "./Lua.ts"

/** A call failed: `"no"` if Redis certainly has not done what was asked. */
export class CallFailed {
  readonly applied: "no" | "unknown"
  readonly cause: unknown

  constructor(applied: "no" | "unknown", cause: unknown) {
    this.applied = applied
    this.cause = cause
  }
}

const script = (lua: string) =>
  Redis.script((keys: ReadonlyArray<string>, args: ReadonlyArray<string>) => [...keys, ...args], {
    lua,
    numberOfKeys: (keys) => keys.length
  }).withReturnType<unknown>()

export const apply = script(Lua.apply)
export const read = script(Lua.read)
export const tops = script(Lua.tops)
export const members = script(Lua.members)

/** The scripts answer strings alone, which RESP2 and RESP3 write alike. */
const decodeAnswer = Schema.decodeUnknownOption(Schema.Array(Schema.String))

/** Errors by which Redis refuses before it does anything, and clients before they send anything. */
const refusals = new Set([
  "LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "OOM", "MISCONF", "NOAUTH", "NOSCRIPT", "BUSY", "MOVED", "ASK",
  "TRYAGAIN", "WRONGPASS"
])

const appliedBy = (cause: unknown): "no" | "unknown" => {
  if (!(cause instanceof Error)) return "unknown"
  if (cause.constructor.name === "ClientOfflineError" || cause.constructor.name === "ClientClosedError") return "no"
  // Redis 6 tells in other words that the first write of a script was refused.
  const [, inScript] = cause.message.startsWith("ERR Error running script") ? cause.message.split(": -") : []
  return refusals.has((inScript ?? cause.message).split(/[ :]/, 1)[0]) ? "no" : "unknown"
}

export type Script = typeof apply

/** Runs a script. Its answer has at least epoch and `seq`. */
export const call = (
  redis: Redis.Redis["Service"],
  script: Script,
  keys: ReadonlyArray<string>,
  args: ReadonlyArray<string>,
  timeout: number
): Effect.Effect<ReadonlyArray<string>, CallFailed> =>
  Effect.flatMap(
    within(Effect.mapError(redis.eval(script)(keys, args), ({ cause }) => new CallFailed(appliedBy(cause), cause)), timeout),
    (answer) => {
      const strings = decodeAnswer(answer)
      return Option.isSome(strings) && strings.value.length >= 2 ? Effect.succeed(strings.value) : unreadable
    }
  )

/** Fails after the deadline: a command may wait in the client for as long as Redis is away. */
export const within = <A>(effect: Effect.Effect<A, CallFailed>, timeout: number): Effect.Effect<A, CallFailed> =>
  Effect.flatMap(
    Deadlines.timeoutOption(effect, timeout),
    Option.match({
      onNone: () => Effect.fail(new CallFailed("unknown", new Error(`Redis has not answered within ${timeout} ms`))),
      onSome: Effect.succeed
    })
  )

export const unreadable: Effect.Effect<never, CallFailed> = Effect.fail(
  new CallFailed("unknown", new Error("Redis answered something that the scripts of this version do not answer"))
)
