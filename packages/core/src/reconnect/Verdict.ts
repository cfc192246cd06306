/**
 * What a client does after a connection was lost or did not open: the only table of statuses and close
 * codes. It has no effects.
 */
import { ConnectionClosed, HandshakeError, IOError, ProtocolError } from "../WebSocketError.ts"
import { retryAfter } from "./RetryAfter.ts"

/** Why a connection was lost, or did not open. */
export type Loss<E = never> = HandshakeError | IOError | ProtocolError | ConnectionClosed | E

/** Whether a loss is a failure of the connection, and not of the program. */
export const isOurs = (loss: unknown): loss is Loss =>
  loss instanceof HandshakeError || loss instanceof ConnectionClosed || loss instanceof IOError ||
  loss instanceof ProtocolError

/** The range of milliseconds in which the server asks for the next attempt; the schedule's delay is added. */
export interface Told {
  readonly min: number
  readonly max: number
}

/**
 * - `Retry`: another attempt may help.
 * - `Renew`: fresh credentials may help, once.
 * - `End`: the same attempt cannot succeed.
 */
export type Verdict =
  | { readonly _tag: "Retry"; readonly told: Told }
  | { readonly _tag: "Renew"; readonly by: "refusal" | "close" }
  | { readonly _tag: "End" }

const end: Verdict = { _tag: "End" }
const nothing: Told = { min: 0, max: 0 }
const retry: Verdict = { _tag: "Retry", told: nothing }

/** Judges a loss; `now` is the wall clock's, for a `Retry-After` that names a date. */
export const judge = (loss: unknown, now: number): Verdict => {
  if (loss instanceof HandshakeError) return refused(loss, now)
  if (loss instanceof ConnectionClosed) return closed(loss)
  // The peer may have been replaced by one that keeps the rules; the schedule spaces the attempts.
  if (loss instanceof IOError || loss instanceof ProtocolError) return retry
  // The program decides about failures of its own effects.
  return end
}

const refused = ({ headers, reason, status }: HandshakeError, now: number): Verdict => {
  // A proxy's 401 or 407 concerns the proxy's credentials, which do not change.
  if (reason === "ProxyRefused") return status === undefined || status === 401 ? end : answered(status, "refusal", () => nothing)
  // The request cannot be made, or a WebSocket server never sends such a response.
  if (reason !== "StatusNot101" || status === undefined) return end
  return answered(status, "refusal", () => {
    const after = retryAfter(headers, now)
    return after === undefined ? nothing : spread(after)
  })
}

const answered = (status: number, by: "refusal" | "close", told: () => Told): Verdict => {
  if (status === 401) return { _tag: "Renew", by }
  const temporary = status >= 500 || status === 408 || status === 425 || status === 429
  return temporary ? { _tag: "Retry", told: told() } : end
}

// All clients of a server get the same delay. They come back over half of that time again, 30 s at most.
const spread = (min: number): Told => ({ min, max: min + Math.min(30_000, Math.max(1000, min / 2)) })

const closed = ({ info: { code, initiator } }: ConnectionClosed): Verdict => {
  // This side closed it: because of a limit, or by the program.
  if (initiator === "local") return retry
  if (code >= 4400 && code <= 4499) return answered(code - 4000, "close", () => nothing)
  return closeCodes.get(code) ?? retry
}

const told = (min: number, max: number): Verdict => ({ _tag: "Retry", told: { min, max } })

const closeCodes: ReadonlyMap<number, Verdict> = new Map([
  // A server that shuts down closes all of its connections at the same moment.
  [1001, told(0, 2000)],
  [1002, end],
  [1003, end],
  [1007, end],
  [1008, end],
  [1010, end],
  // The registry of close codes asks for a random delay of 5 to 30 seconds after 1012.
  [1012, told(5000, 30_000)],
  [1013, told(5000, 30_000)]
])
