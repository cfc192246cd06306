/**
 * Opens a connection in one step of its fiber, so that opening many costs little.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { CloseCodeFor } from "../CloseCode.ts"
import type { HeaderList } from "../http/Tokens.ts"
import type { Limits } from "../Limits.ts"
import { CurrentBudget } from "../MemoryBudget.ts"
import type { Transform } from "../MessageExtension.ts"
import type { MessageTransport } from "../MessageTransport.ts"
import type { Transport } from "../Transport.ts"
import { Connection } from "./Connection.ts"
import * as Deadlines from "../runtime/Deadlines.ts"
import { ByteLink } from "./ByteLink.ts"
import type { Link } from "./Link.ts"
import { MessageLink, type MessageLinkOptions } from "./MessageLink.ts"
import * as Telemetry from "./Telemetry.ts"

interface Common extends Telemetry.Described {
  readonly role: "client" | "server"
  readonly responseHeaders?: HeaderList | undefined
  readonly closeCodeFor?: CloseCodeFor | undefined
}

export interface Opening extends Common {
  readonly extension?: (() => Transform) | undefined
}

/** The same on a platform's own WebSocket. */
export interface MessageOpening extends Common, MessageLinkOptions {}

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

/** Makes a connection that the scope of the fiber holds. */
export const make = (
  transport: Transport,
  limits: Limits,
  opening: Opening
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.uninterruptible(Effect.withFiber((fiber) => open(fiber, transport, limits, opening, holdInScope)))

/** The same on a platform's own WebSocket. */
export const makeMessages = (
  transport: MessageTransport,
  limits: Limits,
  opening: MessageOpening
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.uninterruptible(Effect.withFiber((fiber) => openMessages(fiber, transport, limits, opening, holdInScope)))

/**
 * Makes a connection, which `hold` releases. Call it, and run its result, where the fiber is not
 * interruptible.
 */
export const open = (
  fiber: Fiber.Fiber<unknown, unknown>,
  transport: Transport,
  limits: Limits,
  opening: Opening,
  hold: Hold
): Effect.Effect<Connection> =>
  openLink(fiber, makeLink(opening.role, transport, limits, Deadlines.of(fiber), opening.extension), opening, hold)

/** The same on a platform's own WebSocket. */
export const openMessages = (
  fiber: Fiber.Fiber<unknown, unknown>,
  transport: MessageTransport,
  limits: Limits,
  opening: MessageOpening,
  hold: Hold
): Effect.Effect<Connection> =>
  openLink(fiber, new MessageLink(opening.role, transport, limits, Deadlines.of(fiber), opening), opening, hold)

const openLink = (
  fiber: Fiber.Fiber<unknown, unknown>,
  link: Link,
  opening: Common,
  hold: Hold
): Effect.Effect<Connection> => {
  link.budget = fiber.getRef(CurrentBudget)
  const connection = new Connection(link, opening.subprotocol, opening.responseHeaders)
  const attach = Telemetry.attach(fiber, link, opening)
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

/** An exception of an extension or a limit is the caller's, after the transport is destroyed. */
const makeLink = (
  role: "client" | "server",
  transport: Transport,
  limits: Limits,
  deadlines: Deadlines.Deadlines,
  extension: (() => Transform) | undefined
): Link => {
  try {
    return new ByteLink(role, transport, limits, deadlines, extension?.())
  } catch (defect) {
    transport.destroy()
    throw defect
  }
}
