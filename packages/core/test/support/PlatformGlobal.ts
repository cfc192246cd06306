/** Globals of a platform that this one is not. */
import * as Effect from "effect/Effect"

/** Puts something in place of a global until the scope ends. */
export const global = (name: string, value: unknown) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.getOwnPropertyDescriptor(globalThis, name)
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
      return before
    }),
    (before) =>
      Effect.sync(() => {
        if (before === undefined) Reflect.deleteProperty(globalThis, name)
        else Object.defineProperty(globalThis, name, before)
      })
  )
