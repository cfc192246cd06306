/**
 * Headers that an application wants to send. They are validated where the head is built, so
 * that no caller's string can end a line or repeat a header of the handshake.
 */
import type { HandshakeRule } from "../WebSocketError.ts"
import { equalsIgnoreCase, type HeaderList, isFieldValue, isToken, listHas, show } from "./Tokens.ts"

export interface Fault {
  readonly rule: HandshakeRule
  readonly detail: string
}

// The first seven belong to the handshake. The others announce a body, which a handshake cannot have (RFC 9112 §6)
const reserved: ReadonlyArray<string> = [
  "upgrade",
  "connection",
  "sec-websocket-key",
  "sec-websocket-accept",
  "sec-websocket-version",
  "sec-websocket-protocol",
  "sec-websocket-extensions",
  "content-length",
  "transfer-encoding",
  "trailer"
]

// Headers of a request that have one value. Servers differ in how they read a second one
const single: ReadonlyArray<string> = [
  "host",
  "origin",
  "authorization",
  "proxy-authorization",
  "cookie",
  "user-agent",
  "referer"
]

/** The first header that cannot be sent as it is, by the grammar alone. */
export const invalidHeader = (headers: HeaderList): Fault | undefined => {
  for (const [name, value] of headers) {
    if (!isToken(name)) return { rule: "HeaderInvalid", detail: `${show(name)} is not the name of a header` }
    if (!isFieldValue(value)) {
      return { rule: "HeaderInvalid", detail: `the value of ${name} has a character that is not allowed in headers` }
    }
  }
  return undefined
}

/** The first header that a handshake cannot have. */
export const invalidCallerHeader = (headers: HeaderList, role: "request" | "response"): Fault | undefined => {
  const invalid = invalidHeader(headers)
  if (invalid !== undefined) return invalid
  const seen: Array<string> = []
  for (const [name] of headers) {
    if (reserved.some((other) => equalsIgnoreCase(name, other))) {
      return { rule: "HeaderReserved", detail: `${name} is set by the handshake itself` }
    }
    const once = role === "request" ? single.find((other) => equalsIgnoreCase(name, other)) : undefined
    if (once === undefined) continue
    if (listHas(seen, once)) return { rule: "HeaderDuplicated", detail: `${name} may be given only once` }
    seen.push(once)
  }
  return undefined
}
