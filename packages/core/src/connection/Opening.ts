/**
 * Opens connections over bytes, and those over messages of servers and of platforms that this library does
 * not know: they count in the budget of the process and are observed.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Limits } from "../Limits.ts"
import { CurrentBudget } from "../MemoryBudget.ts"
import type { Transform } from "../MessageExtension.ts"
import type { Heartbeat, MessageTransport } from "../MessageTransport.ts"
import type { Transport } from "../Transport.ts"
import * as Deadlines from "../runtime/Deadlines.ts"
import { ByteLink } from "./ByteLink.ts"
import type { Connection } from "./Connection.ts"
import { beating } from "./HeartbeatTimer.ts"
import type { Link } from "./Link.ts"
import { MessageLink } from "./MessageLink.ts"
import { type Common, type Hold, holdInScope, openLink } from "./OpenLink.ts"
import { makeWriter } from "./SlowConsumer.ts"
import { observer } from "./Telemetry.ts"

export { type Hold, holdInScope } from "./OpenLink.ts"

export interface Opening extends Common {
  readonly extension?: (() => Transform) | undefined
}

/** The same on a platform's own WebSocket. */
export interface MessageOpening extends Common {
  readonly extension?: string | undefined
  readonly heartbeat?: Heartbeat | undefined
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
  openHere(fiber, makeLink(opening.role, transport, limits, Deadlines.of(fiber), opening.extension), opening, hold)

/** The same on a platform's own WebSocket. */
export const openMessages = (
  fiber: Fiber.Fiber<unknown, unknown>,
  transport: MessageTransport,
  limits: Limits,
  opening: MessageOpening,
  hold: Hold
): Effect.Effect<Connection> =>
  openHere(
    fiber,
    new MessageLink(opening.role, transport, limits, Deadlines.of(fiber), opening.extension, beating(opening.heartbeat)),
    opening,
    hold
  )

const openHere = (
  fiber: Fiber.Fiber<unknown, unknown>,
  link: Link,
  opening: Common,
  hold: Hold
): Effect.Effect<Connection> =>
  openLink(fiber, link, opening, hold, makeWriter(link), fiber.getRef(CurrentBudget), observer)

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
