/** How a connection closed, of what is known of both sides' Close frames. */
import type { CloseInfo } from "../CloseCode.ts"
import type { Ending } from "./Ending.ts"

/** 1006 where it ended without a Close. `receivedFirst`: the peer was the first to close. */
export const closeInfoOf = (
  ending: Ending | undefined,
  sent: { readonly code: number; readonly reason: string } | undefined,
  receivedFirst: boolean
): CloseInfo => {
  const received = ending?._tag === "Close" ? { code: ending.code, reason: ending.reason } : undefined
  const first = (receivedFirst ? received ?? sent : sent ?? received) ?? { code: 1006, reason: "" }
  return {
    code: first.code,
    reason: first.reason,
    initiator: receivedFirst && received !== undefined ? "remote" : sent === undefined ? "remote" : "local",
    clean: sent !== undefined && received !== undefined,
    ...(sent === undefined ? undefined : { sent }),
    ...(received === undefined ? undefined : { received })
  }
}
