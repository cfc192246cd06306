/** A side of a contract over a connection that is open. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as WebSocket from "../WebSocket.ts"
import { ValueConnection } from "./Connection.ts"
import * as Definition from "./Definition.ts"
import { ContractMismatch } from "./Mismatch.ts"
import type { OnInvalid } from "./Values.ts"

/** One contract, or several of which one is agreed on. */
export type OneOrMore<C> = C | ReadonlyArray<C>

export const listOf = <C extends Definition.Any>(contracts: OneOrMore<C>): ReadonlyArray<C> =>
  "name" in contracts ? [contracts] : contracts

export const subprotocolsOf = (contracts: ReadonlyArray<Definition.Any>): ReadonlyArray<string> =>
  contracts.flatMap(({ subprotocols }) => subprotocols)

/** A connection as a side of the contract that its subprotocol names. */
export const over = <A>(
  contracts: ReadonlyArray<Definition.Any>,
  ws: WebSocket.WebSocket,
  { onInvalid = "close", requireSubprotocol = true }: { readonly onInvalid?: OnInvalid | undefined; readonly requireSubprotocol?: boolean | undefined } = {}
): Effect.Effect<A, ContractMismatch> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const subprotocol = ws.subprotocol ?? (requireSubprotocol ? undefined : contracts[0]?.subprotocols[0])
    for (const contract of contracts) {
      const side = Definition.sideOf(contract, ws.role, subprotocol)
      if (side === undefined) continue
      // The types of the values are those of the contract.
      return Effect.succeed(new ValueConnection(ws, contract.name, side, context, onInvalid) as A)
    }
    const spoken = ws.subprotocol === undefined ? [] : [ws.subprotocol]
    return Effect.fail(new ContractMismatch({ offered: subprotocolsOf(contracts), spoken }))
  })
