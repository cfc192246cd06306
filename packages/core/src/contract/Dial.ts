/** Connects to a server of a contract. */
import * as Effect from "effect/Effect"
import * as WebSocketClient from "../WebSocketClient.ts"
import type { Any } from "./Definition.ts"
import { mismatchOf } from "./Mismatch.ts"

/** `WebSocketClient.connect` with the subprotocols of a contract. */
export const dial = (contract: Any) => (url: string | URL, options: WebSocketClient.ConnectOptions) =>
  Effect.mapError(
    WebSocketClient.connect(url, { ...options, subprotocols: contract.subprotocols, requireSubprotocol: true }),
    (error) => mismatchOf(contract, error)
  )
