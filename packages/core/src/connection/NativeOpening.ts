/**
 * Opens a client's connection on the platform's own WebSocket: in a page, which loads no more than it uses.
 * It counts in the budget, and is observed by the observer, that the program provides.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Limits } from "../Limits.ts"
import { unlimited } from "../memory/MemoryBudget.ts"
import { ProvidedBudget } from "../memory/ProvidedBudget.ts"
import type { MessageTransport } from "../MessageTransport.ts"
import * as Deadlines from "../runtime/Deadlines.ts"
import type { Connection } from "./Connection.ts"
import { MessageLink, type MakeKeepAlive } from "./MessageLink.ts"
import { type Common, holdInScope, openLink } from "./OpenLink.ts"
import { ProvidedObserver } from "./Observer.ts"

export interface NativeOpening extends Common {
  readonly extension: string | undefined
  readonly keepAlive: MakeKeepAlive | undefined
}

export const make = (
  transport: MessageTransport,
  limits: Limits,
  opening: NativeOpening
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.uninterruptible(Effect.withFiber((fiber) =>
    openLink(
      fiber,
      new MessageLink(opening.role, transport, limits, Deadlines.of(fiber), opening.extension, opening.keepAlive),
      opening,
      holdInScope,
      fiber.getRef(ProvidedBudget) ?? unlimited,
      fiber.getRef(ProvidedObserver)
    )
  ))
