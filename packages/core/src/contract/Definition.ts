/** What both sides of a contract know. */
import type * as Schema from "effect/Schema"
import type { Codec, Compiled } from "./Codec.ts"
import { checkName } from "./Name.ts"

export interface Contract<
  out Name extends string,
  out ToServer extends Schema.Constraint,
  out ToClient extends Schema.Constraint
> {
  /** The name, with the version if there is one. */
  readonly name: Name
  /** What a client sends. */
  readonly toServer: ToServer
  /** What a server sends. */
  readonly toClient: ToClient
  /** How values become messages, the preferred codec first. */
  readonly codecs: ReadonlyArray<Codec>
  /** The subprotocol of each codec: `name+codec`. */
  readonly subprotocols: ReadonlyArray<string>
}

export type Any = Contract<string, Schema.Constraint, Schema.Constraint>

export const make = <Name extends string, ToServer extends Schema.Constraint, ToClient extends Schema.Constraint>(
  name: Name,
  toServer: ToServer,
  toClient: ToClient,
  codecs: ReadonlyArray<Codec>
): Contract<Name, ToServer, ToClient> => {
  checkName("contract", name)
  if (codecs.length === 0) throw new Error(`The contract ${name} has no codec`)
  const subprotocols = codecs.map((codec) => `${name}+${codec.name}`)
  if (new Set(subprotocols).size < subprotocols.length) throw new Error(`The contract ${name} has two codecs of one name`)
  return { name, toServer, toClient, codecs, subprotocols }
}

/** A contract for one codec and one side. */
export interface Side {
  readonly contract: Any
  readonly subprotocol: string
  readonly codec: string
  readonly incoming: Compiled<Schema.Constraint>
  readonly outgoing: Compiled<Schema.Constraint>
}

const compiled = new WeakMap<Any, Map<string, Side>>()

/** The side of a contract that a subprotocol names; compiled once for all connections. */
export const sideOf = (contract: Any, role: "client" | "server", subprotocol: string | undefined): Side | undefined => {
  if (subprotocol === undefined) return undefined
  let sides = compiled.get(contract)
  if (sides === undefined) compiled.set(contract, sides = new Map())
  const key = `${role} ${subprotocol}`
  const known = sides.get(key)
  if (known !== undefined) return known
  const codec = contract.codecs[contract.subprotocols.indexOf(subprotocol)]
  if (codec === undefined) return undefined
  const [incoming, outgoing] = role === "client"
    ? [contract.toClient, contract.toServer]
    : [contract.toServer, contract.toClient]
  const side = {
    contract,
    subprotocol,
    codec: codec.name,
    incoming: codec.compile(incoming),
    outgoing: codec.compile(outgoing)
  }
  sides.set(key, side)
  return side
}
