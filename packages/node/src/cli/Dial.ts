/**
 * Connects with the flags of a client.
 */
import { type Limits, type WebSocket, WebSocketClient } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { readFileSync } from "node:fs"
import * as NodeWebSocketClient from "../NodeWebSocketClient.ts"
import { type Failure, usage } from "./Failure.ts"
import type { Style } from "./terminal/Style.ts"
import { failureOf } from "./text/Refusal.ts"

/** The flags of `Flags.client`, parsed. */
export interface ClientFlags {
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly subprotocols: ReadonlyArray<string>
  readonly origin: Option.Option<string>
  readonly ca: Option.Option<string>
  readonly cert: Option.Option<string>
  readonly key: Option.Option<string>
  readonly insecure: boolean
  readonly compression: boolean
  readonly unix: Option.Option<string>
  readonly proxy: Option.Option<string>
  readonly http2: boolean
  readonly connectTimeout: number
}

type TlsFlags = Pick<ClientFlags, "ca" | "cert" | "key" | "insecure">

/** Node's options for TLS. Fails with a usage error if a file cannot be read. */
export const tlsOptions = (flags: TlsFlags) =>
  Effect.try({
    try: () => ({
      ...(Option.isSome(flags.ca) && { ca: readFileSync(flags.ca.value) }),
      ...(Option.isSome(flags.cert) && { cert: readFileSync(flags.cert.value) }),
      ...(Option.isSome(flags.key) && { key: readFileSync(flags.key.value) }),
      ...(flags.insecure && { rejectUnauthorized: false })
    }),
    catch: (error) => usage(error instanceof Error ? error.message : String(error))
  })

/** Adds `ws://` to a URL without a scheme. */
export const withScheme = (url: string): string => url.includes("://") ? url : `ws://${url}`

export const isSecure = (url: string): boolean => /^(?:wss|https):/i.test(url)

/** The warning before a connection whose certificate is not verified. */
export const insecureWarning = (style: Style): string =>
  style.red(style.bold("WARNING: ")) +
  style.red("the certificate is not verified (--insecure): somebody between you and the server can read and change what is sent.")

/** A layer that dials with the TLS options of the flags, in the way that they say. Fails with a usage error if two ways exclude each other. */
export const dialer = (flags: ClientFlags) =>
  Effect.gen(function*() {
    const tls = yield* tlsOptions(flags)
    const proxy = Option.getOrUndefined(flags.proxy)
    if (Option.isNone(flags.unix)) {
      return flags.http2
        ? NodeWebSocketClient.layerHttp2({ tls, proxy, plain: true })
        : NodeWebSocketClient.layerDirectOptions({ tls, proxy })
    }
    if (proxy !== undefined) return yield* usage("--unix and --proxy exclude each other: no proxy reaches a Unix domain socket")
    if (flags.http2) return yield* usage("--unix and --http2 exclude each other")
    return NodeWebSocketClient.layerDirectOptions({ tls, socketPath: flags.unix.value })
  })

export const connectOptions = (flags: ClientFlags, limits: Limits.Options = {}): WebSocketClient.ConnectOptions => ({
  ...limits,
  subprotocols: flags.subprotocols,
  headers: [
    ...flags.headers,
    ...(Option.isSome(flags.origin) ? [["Origin", flags.origin.value] as const] : [])
  ],
  compression: flags.compression,
  handshakeTimeout: flags.connectTimeout
})

/** Opens one connection. Its errors become failures of the command. */
export const connect = (
  url: string,
  options: WebSocketClient.ConnectOptions,
  style: Style
): Effect.Effect<WebSocket.WebSocket, Failure, WebSocketClient.Connector | Scope.Scope> =>
  Effect.mapError(WebSocketClient.connect(url, options), (error) => failureOf(error, style))
