/**
 * A timer of the deadlines for which the process need not stay (Node, Bun, Deno): brought by what sets alarms in the
 * background, which pages do not.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Alarm, Deadlines, Sleeper } from "./Deadlines.ts"

// Of timers; those that are set for longer go off at once.
const mostMillis = 0x7fffffff

/** A timer of Node, Bun or Deno. In a browser it is a number, and there is no process that could end. */
interface Timer {
  readonly ref: () => void
  readonly unref: () => void
}

const isTimer = (handle: unknown): handle is Timer => typeof handle === "object" && handle !== null && "unref" in handle

class BackgroundTimer implements Sleeper {
  #timer: Timer | undefined
  // Alarms that keep the process.
  #foreground = 0

  sleep(millis: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const handle: unknown = setTimeout(() => resume(Effect.void), Math.min(millis, mostMillis))
      this.#timer = isTimer(handle) ? handle : undefined
      this.#keep()
      return Effect.sync(() => clearTimeout(handle as number))
    })
  }

  changed(alarm: Alarm, by: 1 | -1): void {
    if (alarm.isBackground) return
    const before = this.#foreground
    this.#foreground += by
    if (before === 0 || this.#foreground === 0) this.#keep()
  }

  /** Keeps the process for the current sleep, or does not. */
  #keep(): void {
    if (this.#foreground > 0) this.#timer?.ref()
    else this.#timer?.unref()
  }
}

/** Lets the process end while nothing but alarms in the background is set. A clock that is not the system's has no timers. */
export const allowBackground = (deadlines: Deadlines): void => {
  if (deadlines.clock === Context.get(Context.empty(), Clock.Clock)) deadlines.sleepBy(new BackgroundTimer())
}
