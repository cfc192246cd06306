/**
 * Opens a client's connection on the platform's own WebSocket: in a page, which loads no more than it uses.
 * It counts in the budget, and is observed by the observer, that the program provides.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Limits } from "../Limits.ts"
import { ProvidedBudget } from "../memory/ProvidedBudget.ts"
import type { MessageTransport } from "../MessageTransport.ts"
import * as Deadlines from "../runtime/Deadlines.ts"
import type { Connection } from "./Connection.ts"
import type { Link } from "./Link.ts"
import { type MakeKeepAlive, MessageLink } from "./MessageLink.ts"
import { type Common, holdInScope, openLink } from "./OpenLink.ts"
import { ProvidedObserver } from "./Observer.ts"
import { Writer } from "./Writer.ts"

export type MakeWriter = (link: Link) => Writer

export interface NativeOpening extends Common {
  readonly extension: string | undefined
  readonly keepAlive: MakeKeepAlive | undefined
  /** Makes the writer that `slowConsumer` asks for; without it all senders wait for room. */
  readonly makeWriter: MakeWriter | undefined
}

export const make = (
  transport: MessageTransport,
  limits: Limits,
  opening: NativeOpening
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.uninterruptible(Effect.withFiber((fiber) => {
    const { extension, keepAlive, makeWriter, role } = opening
    const link = new MessageLink(role, transport, limits, Deadlines.of(fiber), extension, keepAlive)
    const writer = makeWriter === undefined ? new Writer(link) : makeWriter(link)
    return openLink(fiber, link, opening, holdInScope, writer, fiber.getRef(ProvidedBudget), fiber.getRef(ProvidedObserver))
  }))
