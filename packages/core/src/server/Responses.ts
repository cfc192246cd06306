/** The responses of a server to requests for a WebSocket: the accepted 101, and refusals. */
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { HeaderList } from "../http/Tokens.ts"
import type { HandshakeError } from "../WebSocketError.ts"

type Response = HttpServerResponse.HttpServerResponse

/** Never sent, because the connection has left HTTP. Middleware sees it. */
export const accepted = HttpServerResponse.empty({ status: 101 })

/** The lines of a response, and what Effect's types can hold of them. */
interface Lines {
  readonly list: HeaderList
  readonly headers: Readonly<Record<string, string>>
  readonly cookies: Cookies.Cookies
}

// Found by the body, which middleware does not change when it changes headers or cookies.
const linesOf = new WeakMap<object, Lines>()

const setCookie = "set-cookie"

/**
 * The response to a refused handshake: status and headers of the error, its message as text.
 *
 * **Details**
 *
 * The headers of the error are lines: a name may be repeated, as `set-cookie` and
 * `www-authenticate` are. Effect's `Headers` hold one value for each name, so there the lines
 * of a name are joined by a comma, and cookies are in `cookies`. A server that writes
 * `HttpUpgrade.headerLines` sends each line as it was given.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toResponse = (error: HandshakeError): Response => {
  const list = error.headers.map(([name, value]) => [name.toLowerCase(), value] as const)
  // A map, because a name can be `__proto__`.
  const headers: Record<string, string> = Object.create(null)
  for (const [name, value] of list) {
    if (name !== setCookie) headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value
  }
  const cookies = Cookies.fromSetCookie(list.filter(([name]) => name === setCookie).map(([, value]) => value))
  const response = HttpServerResponse.text(`${error.message}\n`, { status: error.status ?? 400, headers, cookies })
  linesOf.set(response.body, { list, headers, cookies })
  return response
}

/**
 * The header lines of a response to write: for a refusal each of its lines, for any other response its
 * headers and a line for each cookie.
 *
 * **When to use**
 *
 * In an HTTP server that answers requests for an upgrade.
 *
 * **Details**
 *
 * Changes of middleware are respected.
 *
 * @category accessors
 * @since 0.1.0
 */
export const headerLines = (response: Response): HeaderList => {
  const lines = linesOf.get(response.body)
  const all: Array<readonly [string, string]> = []
  for (const [name, value] of Object.entries(response.headers)) {
    if (lines?.headers[name] === value) all.push(...lines.list.filter((line) => line[0] === name))
    else all.push([name, value])
  }
  const { cookies } = response.cookies
  const given = lines?.cookies.cookies ?? {}
  const changed = Object.fromEntries(Object.entries(cookies).filter(([name, cookie]) => given[name] !== cookie))
  for (const line of lines?.list ?? []) {
    if (line[0] !== setCookie) continue
    const name = line[1].slice(0, Math.max(0, line[1].indexOf("="))).trim()
    if (cookies[name] === given[name]) all.push(line)
  }
  for (const value of Cookies.toSetCookieHeaders(Cookies.fromIterable(Object.values(changed)))) all.push([setCookie, value])
  return all
}

/** Lets a `HandshakeError` that a route does not handle answer with its own status. */
export const respondable = (error: HandshakeError): HandshakeError =>
  Object.defineProperty(error, HttpServerRespondable.symbol, {
    value: () => Effect.succeed(toResponse(error)),
    enumerable: false
  })
