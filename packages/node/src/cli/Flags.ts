/**
 * Flags that several commands share.
 */
import * as Flag from "effect/cli/Flag"
import { parseDuration, parseSize } from "./text/Quantities.ts"

const why = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** Milliseconds. */
export const duration = (name: string) =>
  Flag.String(name).pipe(Flag.withMetavar("DURATION"), Flag.mapTryCatch(parseDuration, why))

/** Bytes. */
export const size = (name: string) =>
  Flag.String(name).pipe(Flag.withMetavar("SIZE"), Flag.mapTryCatch(parseSize, why))

/** A port to listen on. */
export const port = (name: string) =>
  Flag.Int(name).pipe(
    Flag.withMetavar("PORT"),
    Flag.filter((port) => port >= 0 && port <= 65535, () => "a port from 0 to 65535")
  )

const pairOf = (line: string): readonly [string, string] => {
  const colon = line.indexOf(":")
  if (colon <= 0) throw new Error(`${JSON.stringify(line)} is not a header; write "Name: value"`)
  return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
}

export const headers = Flag.String("header").pipe(
  Flag.withAlias("H"),
  Flag.withMetavar("\"NAME: VALUE\""),
  Flag.mapTryCatch(pairOf, why),
  Flag.atLeast(0),
  Flag.withDescription("Send this header in the handshake; may be given several times")
)

export const subprotocols = Flag.String("subprotocol").pipe(
  Flag.withAlias("s"),
  Flag.withMetavar("NAME"),
  Flag.atLeast(0),
  Flag.map((given) => given.flatMap((names) => names.split(",")).map((name) => name.trim()).filter((name) => name !== "")),
  Flag.withDescription("Offer this subprotocol; may be given several times or as a list with commas, the preferred one first")
)

export const origin = Flag.String("origin").pipe(
  Flag.withAlias("o"),
  Flag.withMetavar("ORIGIN"),
  Flag.optional,
  Flag.withDescription("Send this Origin header, as a browser does for a page; for example https://app.example")
)

/** Which TLS servers to trust, and which certificate to present. */
export const tls = {
  ca: Flag.File("ca", { mustExist: true }).pipe(
    Flag.optional,
    Flag.withDescription("Trust the certificate authorities in this PEM file, and no others")
  ),
  cert: Flag.File("cert", { mustExist: true }).pipe(
    Flag.optional,
    Flag.withDescription("Present the client certificate in this PEM file")
  ),
  key: Flag.File("key", { mustExist: true }).pipe(
    Flag.optional,
    Flag.withDescription("The private key of --cert, a PEM file")
  ),
  insecure: Flag.Boolean("insecure").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Accept any certificate: somebody between you and the server can read and change what is sent")
  )
}

/** How a client connects. */
export const client = {
  headers,
  subprotocols,
  origin,
  ...tls,
  compression: Flag.Boolean("compression").pipe(
    Flag.withDefault(true),
    Flag.withDescription("Offer compression (permessage-deflate); on unless --no-compression is given")
  ),
  unix: Flag.Path("unix").pipe(
    Flag.optional,
    Flag.withDescription("Connect to this Unix domain socket instead of the URL's host")
  ),
  proxy: Flag.String("proxy").pipe(
    Flag.withMetavar("URL"),
    Flag.optional,
    Flag.withDescription(
      "Connect through this proxy (http://…, https://… or socks5://…), or through the one that HTTPS_PROXY, HTTP_PROXY or " +
        "ALL_PROXY names: --proxy environment"
    )
  ),
  http2: Flag.Boolean("http2").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription(
      "Connect over HTTP/2 (RFC 8441), over HTTP/1.1 where a wss:// server does not offer it; a ws:// server must speak HTTP/2"
    )
  ),
  connectTimeout: duration("connect-timeout").pipe(
    Flag.withDefault(10_000),
    Flag.withDescription("How long the opening handshake may take; 10s unless given")
  )
}

/** Where to listen. */
export const host = Flag.String("host").pipe(
  Flag.withDefault("127.0.0.1"),
  Flag.withDescription("Listen on this address; 127.0.0.1 unless given, which only this machine can reach")
)

/** How much of a payload is shown. */
export const full = Flag.Boolean("full").pipe(
  Flag.withDefault(false),
  Flag.withoutNegation,
  Flag.withDescription("Show whole payloads instead of their beginning, JSON laid out and bytes in hexadecimal")
)
