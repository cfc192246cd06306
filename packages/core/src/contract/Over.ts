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

/** How a connection becomes one of values. */
interface OverOptions {
  readonly onInvalid?: OnInvalid | undefined
}

const mismatch = (offered: ReadonlyArray<string>, { subprotocol }: WebSocket.WebSocket) =>
  Effect.fail(new ContractMismatch({ offered, spoken: subprotocol === undefined ? [] : [subprotocol] }))

/** A connection as a side of a contract, by the subprotocol of one of its codecs. */
export const over = <A>(
  contract: Definition.Any,
  ws: WebSocket.WebSocket,
  { onInvalid = "close" }: OverOptions = {},
  subprotocol = ws.subprotocol
): Effect.Effect<A, ContractMismatch> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const side = Definition.sideOf(contract, ws.role, subprotocol)
    // The types of the values are those of the contract.
    return side === undefined
      ? mismatch(contract.subprotocols, ws)
      : Effect.succeed(new ValueConnection(ws, contract.name, side, context, onInvalid) as A)
  })

/** The same for the one of several contracts that its subprotocol names; without a subprotocol the first, where that is allowed. */
export const overOneOf = <A>(
  contracts: ReadonlyArray<Definition.Any>,
  ws: WebSocket.WebSocket,
  { requireSubprotocol = true, ...options }: OverOptions & { readonly requireSubprotocol?: boolean | undefined } = {}
): Effect.Effect<A, ContractMismatch> => {
  const subprotocol = ws.subprotocol ?? (requireSubprotocol ? undefined : contracts[0]?.subprotocols[0])
  const contract = contracts.find(({ subprotocols }) => subprotocols.some((one) => one === subprotocol))
  return contract === undefined ? mismatch(subprotocolsOf(contracts), ws) : over(contract, ws, options, subprotocol)
}
