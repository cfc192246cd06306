/** What ends the peer's half of a connection. */
import type { ProtocolError, ProtocolRule } from "../WebSocketError.ts"
import { protocolError } from "./Violation.ts"

/** The peer's Close, or the rule that it broke: nothing after it is read. */
export type Ending =
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string }
  | { readonly _tag: "Violation"; readonly error: ProtocolError }

export const violation = (rule: ProtocolRule, detail?: string): Ending => ({
  _tag: "Violation",
  error: protocolError(rule, detail)
})
