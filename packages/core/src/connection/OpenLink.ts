/**
 * Opens a connection in one step of its fiber, so that opening many costs little. What differs (its
 * writer, a budget, an observer) is given by the modules that know where it comes from: `Opening` and `NativeOpening`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { CloseCodeFor } from "../CloseCode.ts"
import type { HeaderList } from "../http/Tokens.ts"
import type { Budget } from "../memory/MemoryBudget.ts"
import { Connection } from "./Connection.ts"
import type { Link } from "./Link.ts"
import type { Described, Observer } from "./Observer.ts"
import type { Writer } from "./Writer.ts"

export interface Common extends Described {
  readonly role: "client" | "server"
  readonly responseHeaders?: HeaderList | undefined
  readonly closeCodeFor?: CloseCodeFor | undefined
}

/** Decides what releases a connection. */
export type Hold = (
  fiber: Fiber.Fiber<unknown, unknown>,
  connection: Connection,
  closeCodeFor: CloseCodeFor | undefined
) => Effect.Effect<Connection>

/** The scope of the fiber releases it. */
export const holdInScope: Hold = (fiber, connection, closeCodeFor) => {
  const scope = Context.getUnsafe(fiber.context, Scope.Scope)
  return Effect.as(Scope.addFinalizerExit(scope, (exit) => connection.release(exit, closeCodeFor)), connection)
}

export const openLink = (
  fiber: Fiber.Fiber<unknown, unknown>,
  link: Link,
  opening: Common,
  hold: Hold,
  writer: Writer,
  budget: Budget | undefined,
  observer: Observer | undefined
): Effect.Effect<Connection> => {
  link.budget = budget
  const connection = new Connection(link, writer, opening.subprotocol, opening.responseHeaders)
  const attach = observer?.attach(fiber, link, opening)
  if (attach === undefined) return begin(fiber, connection, opening.closeCodeFor, hold)
  return Effect.flatMap(
    Effect.onError(attach, () => Effect.sync(() => link.transport.destroy())),
    () => begin(fiber, connection, opening.closeCodeFor, hold)
  )
}

// A function of its own, so that an idle connection holds these values only, not its options.
const begin = (
  fiber: Fiber.Fiber<unknown, unknown>,
  connection: Connection,
  closeCodeFor: CloseCodeFor | undefined,
  hold: Hold
): Effect.Effect<Connection> => {
  connection.link.start()
  return hold(fiber, connection, closeCodeFor)
}
