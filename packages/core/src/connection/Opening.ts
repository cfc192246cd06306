/**
 * How a connection begins: in one step of its fiber, so that opening many costs little.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Limits } from "../Limits.ts"
import { MemoryBudget } from "../MemoryBudget.ts"
import type { Transform } from "../MessageExtension.ts"
import type { Transport } from "../Transport.ts"
import { Connection } from "./Connection.ts"
import * as Deadlines from "./Deadlines.ts"
import { Link } from "./Link.ts"
import * as Telemetry from "./Telemetry.ts"

export interface Opening extends Telemetry.Described {
  readonly role: "client" | "server"
  readonly extension?: (() => Transform) | undefined
  readonly closeCodeFor?: ((error: unknown) => number) | undefined
}

/**
 * Makes a connection and leaves its release to the scope of the fiber. To be called,
 * and its result run, where the fiber is not interruptible.
 */
export const open = (
  fiber: Fiber.Fiber<unknown, unknown>,
  transport: Transport,
  limits: Limits,
  opening: Opening
): Effect.Effect<Connection, never, Scope.Scope> => {
  const scope = Context.getUnsafe(fiber.context, Scope.Scope)
  const link = makeLink(opening.role, transport, limits, Deadlines.of(fiber), opening.extension)
  link.budget = fiber.getRef(MemoryBudget)
  const connection = new Connection(link, opening.protocol)
  const attach = Telemetry.attach(fiber, link, opening)
  if (attach === undefined) return begin(scope, connection, opening.closeCodeFor)
  return Effect.flatMap(
    Effect.onError(attach, () => Effect.sync(() => transport.destroy())),
    () => begin(scope, connection, opening.closeCodeFor)
  )
}

// Apart, so that an idle connection holds this much and not its options, nor what made them.
const begin = (
  scope: Scope.Scope,
  connection: Connection,
  closeCodeFor: Opening["closeCodeFor"]
): Effect.Effect<Connection> => {
  connection.link.start()
  return Effect.as(Scope.addFinalizerExit(scope, (exit) => connection.release(exit, closeCodeFor)), connection)
}

/** What an extension or a limit throws is the caller's to see, but leaves no transport behind. */
const makeLink = (
  role: "client" | "server",
  transport: Transport,
  limits: Limits,
  deadlines: Deadlines.Deadlines,
  extension: (() => Transform) | undefined
): Link => {
  try {
    return new Link(role, transport, limits, deadlines, extension?.())
  } catch (defect) {
    transport.destroy()
    throw defect
  }
}
