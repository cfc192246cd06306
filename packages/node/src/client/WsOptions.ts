/**
 * Translates the options of a `ws` server, which Effect's own layers take, so that a program that migrates
 * keeps its authentication, subprotocols and limits.
 */
import { type HttpUpgrade, type PerMessageDeflate, WebSocketError } from "@effect-ws/core"
import type * as NodeWS from "@effect/platform-node/NodeWS"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as Http from "node:http"

/** The options that mean something here. */
export type WsOptions = Pick<
  NodeWS.ServerOptions,
  "handleProtocols" | "maxFragments" | "maxPayload" | "perMessageDeflate" | "verifyClient"
>

/** Options that were not given keep the defaults of this library. */
export const toUpgradeOptions = (options: WsOptions): HttpUpgrade.Options => ({
  ...(options.handleProtocols !== undefined && { selectSubprotocol: subprotocolOf(options.handleProtocols) }),
  ...(options.maxPayload !== undefined && { maxMessageSize: orUnlimited(options.maxPayload) }),
  ...(options.maxFragments !== undefined && { fragments: { max: orUnlimited(options.maxFragments) } }),
  ...(options.perMessageDeflate !== undefined && { compression: compressionOf(options.perMessageDeflate) }),
  ...(options.verifyClient !== undefined && { authorize: authorizeOf(options.verifyClient) })
})

// In `ws`, 0 means no limit.
const orUnlimited = (limit: number): number => limit > 0 ? limit : Number.MAX_SAFE_INTEGER

const incoming = (request: HttpServerRequest.HttpServerRequest) => request.source as Http.IncomingMessage

const subprotocolOf = (
  handleProtocols: NonNullable<WsOptions["handleProtocols"]>
): NonNullable<HttpUpgrade.Options["selectSubprotocol"]> =>
(offered, request) => {
  const chosen = offered.length === 0 ? false : handleProtocols(new Set(offered), incoming(request))
  return chosen === false ? undefined : chosen
}

const authorizeOf = (
  verifyClient: NonNullable<WsOptions["verifyClient"]>
): NonNullable<HttpUpgrade.Options["authorize"]> =>
(request) =>
  Effect.callback<void, WebSocketError.HandshakeError>((resume) => {
    const req = incoming(request)
    const info = {
      origin: req.headers.origin ?? "",
      secure: "encrypted" in req.socket && req.socket.encrypted === true,
      req
    }
    const decide = (verified: boolean, status = 401, message?: string, headers: Http.OutgoingHttpHeaders = {}) =>
      resume(verified ? Effect.void : Effect.fail(refused(status, message, headers)))
    // Distinguished by the number of parameters, as `ws` does it.
    if (verifyClient.length === 2) (verifyClient as NodeWS.VerifyClientCallbackAsync)(info, decide)
    else decide((verifyClient as NodeWS.VerifyClientCallbackSync)(info))
  })

const refused = (status: number, message: string | undefined, headers: Http.OutgoingHttpHeaders) =>
  new WebSocketError.HandshakeError({
    reason: "Application",
    section: "RFC 9110 §15.5.2",
    detail: message ?? "verifyClient refused the client",
    status,
    headers: Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), String(value)] as const]
    ),
    body: ""
  })

const compressionOf = (given: NonNullable<WsOptions["perMessageDeflate"]>): boolean | PerMessageDeflate.Options => {
  if (typeof given === "boolean") return given
  const { level, memLevel, windowBits } = given.zlibDeflateOptions ?? {}
  return {
    threshold: given.threshold,
    level: within(level, 1, 9),
    memLevel: within(memLevel, 1, 9),
    windowBits: {
      own: bits(given.serverMaxWindowBits ?? windowBits),
      peer: bits(given.clientMaxWindowBits)
    },
    noContextTakeover: { own: given.serverNoContextTakeover, peer: given.clientNoContextTakeover }
  }
}

type Digit = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9

/** `undefined`, the default, for levels that zlib has and this library does not: 0 and -1. */
const within = (value: number | undefined, least: number, most: number): Digit | undefined =>
  value !== undefined && value >= least && value <= most ? value as Digit : undefined

// zlib turns 8 into 9 too.
const bits = (value: number | undefined): PerMessageDeflate.WindowBits | undefined =>
  value === undefined ? undefined : Math.min(15, Math.max(9, value)) as PerMessageDeflate.WindowBits
