/** A server that has none of the subprotocols that a client offers. */
import * as Schema from "effect/Schema"
import { HandshakeError } from "../WebSocketError.ts"
import type { Any } from "./Definition.ts"

/**
 * The server has none of the subprotocols of the contract: it has another version, or another
 * codec. `spoken` lists the server's.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContractMismatch extends Schema.TaggedError<ContractMismatch>("@effect-ws/core/Contract/ContractMismatch")(
  "ContractMismatch",
  { offered: Schema.Array(Schema.String), spoken: Schema.Array(Schema.String) }
) {
  override get message() {
    return `The server speaks ${this.spoken.join(", ")}, and not ${this.offered.join(", ")}`
  }
}

/** Whether a refusal comes from a contract of this library. */
export const mismatchOf = <E>(contract: Any, error: E): E | ContractMismatch => {
  if (!(error instanceof HandshakeError) || error.status !== 400) return error
  const line = error.headers.find(([name]) => name.toLowerCase() === "sec-websocket-protocol")
  if (line === undefined) return error
  const spoken = line[1].split(",", 64).map((name) => name.trim()).filter((name) => name !== "")
  return new ContractMismatch({ offered: contract.subprotocols, spoken })
}
