/**
 * A timer of the deadlines for which the process need not stay (Node, Bun, Deno): brought by what sets alarms in the
 * background, which pages do not.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Deadlines, Sleeper } from "./Deadlines.ts"

// Of timers; those that are set for longer go off at once.
const mostMillis = 0x7fffffff

/** A timer of Node, Bun or Deno. In a browser it is a number, and there is no process that could end. */
interface Timer {
  readonly ref: () => void
  readonly unref: () => void
}

const isTimer = (handle: unknown): handle is Timer => typeof handle === "object" && handle !== null && "unref" in handle

class BackgroundTimer implements Sleeper {
  private timer: Timer | undefined

  sleep(millis: number, isKept: boolean): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const handle: unknown = setTimeout(() => resume(Effect.void), Math.min(millis, mostMillis))
      this.timer = isTimer(handle) ? handle : undefined
      this.keep(isKept)
      return Effect.sync(() => clearTimeout(handle as number))
    })
  }

  keep(isKept: boolean): void {
    if (isKept) this.timer?.ref()
    else this.timer?.unref()
  }
}

/** Lets the process end while nothing but alarms in the background is set. A clock that is not the system's has no timers. */
export const allowBackground = (deadlines: Deadlines): void => {
  if (deadlines.clock === Context.get(Context.empty(), Clock.Clock)) deadlines.sleepBy(new BackgroundTimer())
}
