/**
 * Why there is no connection: the server's response, and what to do about it.
 */
import type { WebSocketError } from "@effect-ws/core"
import { STATUS_CODES } from "node:http"
import { Failure, status } from "../Failure.ts"
import { oneLine, type Style, visible } from "../terminal/Style.ts"

type HandshakeError = WebSocketError.HandshakeError

const headerOf = (error: HandshakeError, name: string): string | undefined =>
  error.headers.find(([key]) => key.toLowerCase() === name)?.[1]

const retry = (error: HandshakeError): string => {
  const after = headerOf(error, "retry-after")
  return after === undefined ? "try again later" : `try again after ${after} (Retry-After, seconds or a date)`
}

const byStatus = (error: HandshakeError, code: number): string => {
  if (code >= 300 && code < 400) {
    const location = headerOf(error, "location")
    return location === undefined
      ? "the server redirects without a Location header"
      : `the server redirects; connect to ${location} if you trust it (http becomes ws, https becomes wss)`
  }
  switch (code) {
    case 200:
      return "this path is an ordinary web page; use the path of the WebSocket"
    case 400:
      return "the server could not use the request; a proxy in between may have removed its Upgrade header"
    case 401:
      return "the server wants credentials: --header \"Authorization: Bearer …\", or a cookie by --header \"Cookie: …\""
    case 403:
      return "the server forbids it: many servers check the origin (--origin https://…), others want credentials (--header)"
    case 404:
      return "nothing is at this path; check it, and the Host that the server expects (--header \"Host: …\")"
    case 405:
      return "this path does not accept GET, which a WebSocket needs"
    case 407:
      return "a proxy in between wants credentials: --header \"Proxy-Authorization: …\""
    case 426:
      return headerOf(error, "sec-websocket-version") === undefined
        ? "the server saw no upgrade: a proxy in between may have removed the Upgrade header"
        : `the server supports version ${headerOf(error, "sec-websocket-version")} of the protocol, this client version 13`
    case 429:
    case 503:
      return retry(error)
    case 502:
    case 504:
      return "a gateway responded: the server behind it is down, or the gateway does not support WebSockets"
    default:
      return code >= 500 ? "the server failed; see its log" : "see the response above"
  }
}

const byProxy = (error: HandshakeError): string => {
  if (error.status === 407) return "give the proxy a user and password: --proxy http://USER:PASSWORD@HOST:PORT, or --proxy environment"
  return "ask whoever runs the proxy, or connect without --proxy"
}

const byRule = (error: HandshakeError): string => {
  switch (error.reason) {
    case "StatusNot101":
      return byStatus(error, error.status ?? 0)
    case "ProxyRefused":
      return byProxy(error)
    case "SubprotocolMissing":
      return "the server accepts none of the subprotocols; check --subprotocol, or leave it out"
    case "SubprotocolUnexpected":
      return "the server chose a subprotocol that was not offered; offer it by --subprotocol"
    case "AcceptInvalid":
    case "UpgradeInvalid":
    case "ConnectionInvalid":
      return "this is not a WebSocket server, or a cache or proxy in between has changed its response"
    case "ExtensionUnexpected":
    case "ExtensionInvalid":
    case "ExtensionsMalformed":
      return "the server's compression is broken; try --no-compression"
    default:
      return "the server breaks the protocol; report it to its maintainers"
  }
}

const bodyLines = 12

const body = (error: HandshakeError, style: Style): ReadonlyArray<string> => {
  const text = visible(error.body.trim())
  if (text === "") return []
  const lines = text.split("\n")
  const shown = lines.slice(0, bodyLines).map((line) => `  ${line.trimEnd()}`)
  return ["", ...shown, ...(lines.length > bodyLines ? [style.dim(`  … ${lines.length - bodyLines} more lines`)] : [])]
}

/** The response of a server that refused, with advice. */
const refusal = (error: HandshakeError, style: Style): string => {
  const code = error.status ?? 0
  const phrase = STATUS_CODES[code]
  const answer = `${code}${phrase === undefined ? "" : ` ${phrase}`}`
  return [
    error.reason === "StatusNot101"
      ? style.red(`The server refused the handshake: ${answer}`)
      : error.reason === "ProxyRefused"
      ? style.red(`${error.detail}${code === 0 ? "" : ` (${answer})`}`)
      : style.red(`The server's response cannot be accepted: ${error.detail} (${error.reason}, ${error.section})`),
    ...error.headers.map(([name, value]) => `  ${style.cyan(name)}: ${oneLine(value)}`),
    ...body(error, style),
    "",
    `${style.bold("What to do:")} ${byRule(error)}.`
  ].join("\n")
}

const tlsAdvice = (error: WebSocketError.IOError): string =>
  error.detail.includes("(EPROTO)")
    ? "the server does not seem to use TLS on this port; try ws:// instead of wss://"
    : "name the authority that signed its certificate (--ca FILE); --insecure connects without any verification"

/** The failure of a command that could not connect. */
export const failureOf = (
  error: HandshakeError | WebSocketError.IOError,
  style: Style
): Failure => {
  if (error._tag === "HandshakeError") {
    return error.status === undefined && error.reason !== "ProxyRefused"
      ? new Failure({ status: status.usage, text: style.red(error.message) })
      : new Failure({ status: status.refused, text: refusal(error, style) })
  }
  const advice = error.reason === "Tls" ? `\n${style.bold("What to do:")} ${tlsAdvice(error)}.` : ""
  return new Failure({ status: status.unreachable, text: style.red(error.message) + advice })
}
