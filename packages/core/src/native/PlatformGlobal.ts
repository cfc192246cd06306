/** Globals that only some platforms have. */
import * as Option from "effect/Option"

export const platformGlobal = <A>(name: string): Option.Option<A> =>
  Option.fromNullishOr((globalThis as Readonly<Record<string, unknown>>)[name] as A | undefined)
