/** The body of a Close frame (RFC 6455 §5.5.1): checked, written and read. */
import * as Result from "effect/Result"
import { isWireValid } from "../CloseCode.ts"
import { isUtf8 } from "../codec/Utf8.ts"
import { byteLength } from "../Message.ts"
import type { Primitives } from "../Primitives.ts"
import { InvalidArgument } from "../WebSocketError.ts"
import { type Ending, violation } from "./Ending.ts"

const noBytes = new Uint8Array(0)
const encoder = /*#__PURE__*/ new TextEncoder()

/**
 * Checks the arguments of a Close that this side sends (RFC 6455 §5.5.1, §7.4): a code that may
 * be sent, 1010 from clients only, and a reason of at most 123 bytes.
 */
export const checkClose = (
  role: "client" | "server",
  code: number | undefined,
  reason: string
): Result.Result<void, InvalidArgument> => {
  const invalid = (argument: "code" | "reason", detail: string) => Result.fail(new InvalidArgument({ argument, detail }))
  if (code === undefined) return reason === "" ? Result.void : invalid("reason", "a Close with a reason needs a code")
  if (!Number.isInteger(code) || !isWireValid(code)) {
    return invalid("code", `${code} may not be sent; 1000-1003, 1007-1014 and 3000-4999 may (RFC 6455 §7.4)`)
  }
  if (code === 1010 && role === "server") return invalid("code", "only clients can send 1010 (RFC 6455 §7.4.1)")
  const size = byteLength(reason)
  return size <= 123 ? Result.void : invalid("reason", `${size} bytes; at most 123 fit (RFC 6455 §5.5)`)
}

/** The body for a code and a reason that {@link checkClose} allows; empty for 1005. */
export const closeBody = (code: number, reason: string): Uint8Array => {
  if (code === 1005) return noBytes
  const text = encoder.encode(reason)
  const body = new Uint8Array(2 + text.length)
  body[0] = code >>> 8
  body[1] = code
  body.set(text, 2)
  return body
}

/** Checks and reads the body of a Close frame (RFC 6455 §5.5.1). */
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
