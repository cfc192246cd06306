/** What ends the peer's half of a connection. */
import { isWireValid } from "../CloseCode.ts"
import { isUtf8 } from "../codec/Utf8.ts"
import type { Primitives } from "../Primitives.ts"
import type { ProtocolError, ProtocolRule } from "../WebSocketError.ts"
import { protocolError } from "./Violation.ts"

/** What stands at the end of what a peer sends. */
export type Ending =
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string }
  | { readonly _tag: "Violation"; readonly error: ProtocolError }

export const violation = (rule: ProtocolRule, detail?: string): Ending => ({
  _tag: "Violation",
  error: protocolError(rule, detail)
})

/** Judges the body of a Close frame (RFC 6455 §5.5.1). */
export const readClose = (body: Uint8Array, primitives: Primitives): Ending => {
  const { length } = body
  // The body is empty, or begins with a code of two bytes.
  if (length === 0) return { _tag: "Close", code: 1005, reason: "" }
  if (length === 1) return violation("CloseTooShort")
  const code = (body[0] << 8) | body[1]
  // §7.4
  if (!isWireValid(code)) return violation("CloseCodeInvalid", `the peer closed with ${code}, which may not be sent`)
  // The reason is UTF-8.
  if (!isUtf8(body, 2, length)) return violation("CloseReasonInvalid")
  return { _tag: "Close", code, reason: primitives.decodeUtf8(body, 2, length) }
}
