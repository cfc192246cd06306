/**
 * The client's half of the opening handshake (RFC 6455 §4.1). Pure but for the key's
 * random bytes, and total: whatever is given or answered, a value or a `HandshakeError`.
 */
import * as Result from "effect/Result"
import * as Extension from "../Extension.ts"
import { portable, type Primitives } from "../Primitives.ts"
import type { HandshakeError, HandshakeRule } from "../WebSocketError.ts"
import { parseAuthority } from "../http/Authority.ts"
import { invalidCallerHeader } from "../http/CallerHeaders.ts"
import { acceptKey, isKey, makeKey } from "./AcceptKey.ts"
import { invalidRequest, invalidResponse } from "../http/Refusal.ts"
import { equalsIgnoreCase, type HeaderList, isToken, listHas, show, splitList, valuesOf } from "../http/Tokens.ts"
import { checkDowngrade, normalizeUrl } from "./WebSocketUrl.ts"

/**
 * What a client asks for.
 *
 * **Details**
 *
 * - `url`: ws, wss, http or https; relative where there is a `base`.
 * - `transport`: what carries the handshake: `"http/1.1"`, the default, or `"connect"`, an
 *   extended CONNECT of HTTP/2 or HTTP/3.
 * - `subprotocols`: subprotocols in order of preference.
 * - `headers`: what else to send along; those of the handshake itself are refused.
 * - `extensions`: the value of `Sec-WebSocket-Extensions`.
 * - `key`: 16 bytes, or their base64; only tests and proxies give one.
 * - `randomFill`: where fresh keys come from, by default `crypto.getRandomValues`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeRequestOptions {
  readonly url: string | URL
  readonly base?: string | URL | undefined
  readonly transport?: "http/1.1" | "connect" | undefined
  readonly subprotocols?: string | ReadonlyArray<string> | undefined
  readonly headers?: HeaderList | undefined
  readonly extensions?: string | undefined
  readonly key?: string | Uint8Array | undefined
  readonly randomFill?: Primitives["randomFill"] | undefined
}

/**
 * A request to send, and all that is needed to check the answer.
 *
 * **Details**
 *
 * `url` is an http or https URL. `headers` has no `Host` unless the caller gave one: an
 * HTTP client adds it, and a program that writes the head by hand takes `host` and `target`.
 * Those of an extended CONNECT are complete: the pseudo-headers come first, all names are in
 * lower case, and the key is not sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandshakeRequest {
  readonly transport: "http/1.1" | "connect"
  readonly method: "GET" | "CONNECT"
  readonly url: string
  readonly host: string
  readonly target: string
  readonly headers: HeaderList
  readonly key: string
  readonly subprotocols: ReadonlyArray<string>
  readonly extensions: ReadonlyArray<Extension.ExtensionHeader>
}

const refuse = (rule: HandshakeRule, detail?: string): Result.Result<never, HandshakeError> =>
  Result.fail(invalidRequest(rule, detail))

/**
 * Builds a client's request (RFC 6455 §4.1, RFC 8441 §5).
 *
 * **Details**
 *
 * What a caller gives is validated here, before anything is sent: header names and
 * values, subprotocols, the URL. The key is fresh unless given.
 *
 * **Example** (Building a request)
 *
 * ```ts
 * import { Handshake } from "@effect-ws/core"
 * import { Result } from "effect"
 *
 * const request = Handshake.makeRequest({ url: "wss://feed.example/ticks", subprotocols: ["ticks.v2"] })
 * console.log(Result.map(request, ({ url }) => url)) // https://feed.example/ticks
 * ```
 *
 * @category client
 * @since 0.1.0
 */
export const makeRequest = (options: MakeRequestOptions): Result.Result<HandshakeRequest, HandshakeError> =>
  Result.gen(function*() {
    const url = yield* normalizeUrl(options.url, options.base)
    const key = yield* keyOf(options)
    const subprotocols = yield* subprotocolsOf(options.subprotocols ?? [])
    const offer = options.extensions ?? ""
    const extensions = yield* extensionsOf(offer)
    const own = options.headers ?? []
    const fault = invalidCallerHeader(own, "request")
    if (fault !== undefined) return yield* refuse(fault.rule, fault.detail)
    const host = valuesOf(own, "host")[0]
    if (host !== undefined && parseAuthority(host) === undefined) {
      return yield* refuse("HeaderInvalid", `the Host ${show(host)} is not a host and port`)
    }

    const headers: Array<readonly [string, string]> = [
      ["Upgrade", "websocket"],
      ["Connection", "Upgrade"],
      ["Sec-WebSocket-Version", "13"],
      ["Sec-WebSocket-Key", key]
    ]
    if (subprotocols.length > 0) headers.push(["Sec-WebSocket-Protocol", subprotocols.join(", ")])
    if (extensions.length > 0) headers.push(["Sec-WebSocket-Extensions", offer])
    headers.push(...own)
    const request: HandshakeRequest = {
      transport: "http/1.1",
      method: "GET",
      url: url.href,
      host: host ?? url.host,
      target: `${url.pathname}${url.search}`,
      headers,
      key,
      subprotocols,
      extensions
    }
    return options.transport === "connect" ? overConnect(request) : request
  })

// What an extended CONNECT says by its pseudo-headers, or does not have (RFC 8441 §5).
const onlyHttp1: ReadonlyArray<string> = ["host", "upgrade", "connection", "sec-websocket-key"]

/**
 * The same request as an extended CONNECT of HTTP/2 or HTTP/3 (RFC 8441, RFC 9220).
 *
 * **When to use**
 *
 * In a dialler that learns which version of HTTP the server speaks once it has connected.
 *
 * @category client
 * @since 0.1.0
 */
export const overConnect = (request: HandshakeRequest): HandshakeRequest => {
  if (request.transport === "connect") return request
  const headers: Array<readonly [string, string]> = [
    [":method", "CONNECT"],
    [":protocol", "websocket"],
    [":scheme", request.url.startsWith("https:") ? "https" : "http"],
    [":authority", request.host],
    [":path", request.target]
  ]
  for (const [name, value] of request.headers) {
    const lower = name.toLowerCase()
    if (!onlyHttp1.includes(lower)) headers.push([lower, value])
  }
  return { ...request, transport: "connect", method: "CONNECT", headers }
}

const keyOf = ({ key, randomFill }: MakeRequestOptions): Result.Result<string, HandshakeError> => {
  if (typeof key === "string") return isKey(key) ? Result.succeed(key) : refuse("KeyInvalid")
  if (key !== undefined) return key.length === 16 ? Result.succeed(makeKey(key)) : refuse("KeyInvalid")
  const bytes = new Uint8Array(16)
  const fill = randomFill ?? portable.randomFill
  fill(bytes)
  return Result.succeed(makeKey(bytes))
}

/** RFC 6455 §4.1, item 10: tokens, all different. */
const subprotocolsOf = (given: string | ReadonlyArray<string>): Result.Result<ReadonlyArray<string>, HandshakeError> => {
  const subprotocols = typeof given === "string" ? [given] : given
  const invalid = subprotocols.find((subprotocol) => !isToken(subprotocol))
  if (invalid !== undefined) return refuse("SubprotocolsInvalid", `the subprotocol ${show(invalid)} is not a token`)
  return new Set(subprotocols).size === subprotocols.length
    ? Result.succeed([...subprotocols])
    : refuse("SubprotocolsInvalid", "a subprotocol is given twice")
}

const extensionsOf = (value: string): Result.Result<ReadonlyArray<Extension.ExtensionHeader>, HandshakeError> =>
  value === ""
    ? Result.succeed([])
    : Result.mapError(Extension.parse([value]), ({ detail }) => invalidRequest("ExtensionsMalformed", detail))

/**
 * The head of a server's answer, as plain data.
 *
 * **Details**
 *
 * - `transport` is what carried the handshake; `"http/1.1"` unless given.
 * - `body` is what was read of a refusal's body.
 * - `url` is where the answer came from, after redirects.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandshakeResponse {
  readonly transport?: "http/1.1" | "connect" | undefined
  readonly status: number
  readonly headers: HeaderList
  readonly body?: string | undefined
  readonly url?: string | undefined
}

/**
 * What an answer is checked against: a {@link HandshakeRequest} serves as it is.
 *
 * **Details**
 *
 * - `extensions`: what was offered; by default nothing.
 * - `requireSubprotocol`: whether it is a failure that subprotocols were offered and none
 *   was accepted; true by default.
 * - `url`: what was asked for; where it was secure, the answer's `url` must be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Expectation {
  readonly key: string
  readonly subprotocols?: ReadonlyArray<string> | undefined
  readonly extensions?: ReadonlyArray<Extension.ExtensionHeader> | undefined
  readonly requireSubprotocol?: boolean | undefined
  readonly url?: string | undefined
}

/**
 * What was agreed on. The extensions are those that the server named, all offered;
 * whether their parameters are valid is for each extension to say.
 *
 * @category models
 * @since 0.1.0
 */
export interface Agreement {
  readonly subprotocol: string | undefined
  readonly extensions: ReadonlyArray<Extension.ExtensionHeader>
}

/**
 * Checks a server's answer (RFC 6455 §4.1, "once the client's opening handshake has been sent").
 *
 * **Details**
 *
 * An extended CONNECT is accepted by any 2xx, without `Sec-WebSocket-Accept` (RFC 8441 §5).
 * Every failure carries the answer: its status, its headers and the first 8 KiB of its body.
 *
 * **Example** (Checking an answer)
 *
 * ```ts
 * import { Handshake } from "@effect-ws/core"
 *
 * const agreement = Handshake.checkResponse({
 *   status: 101,
 *   headers: [
 *     ["Upgrade", "websocket"],
 *     ["Connection", "Upgrade"],
 *     ["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
 *   ]
 * }, { key: "dGhlIHNhbXBsZSBub25jZQ==" })
 * console.log(agreement._tag) // Success
 * ```
 *
 * @category client
 * @since 0.1.0
 */
export const checkResponse = (
  response: HandshakeResponse,
  expectation: Expectation
): Result.Result<Agreement, HandshakeError> =>
  Result.gen(function*() {
    const { headers } = response
    const fail = (rule: HandshakeRule, detail?: string): Result.Result<never, HandshakeError> =>
      Result.fail(invalidResponse(rule, response, detail))

    if (expectation.url !== undefined && response.url !== undefined) {
      const secure = checkDowngrade(expectation.url, response.url)
      if (Result.isFailure(secure)) return yield* fail("Downgraded", secure.failure.detail)
    }
    const carried = response.transport === "connect" ? checkConnected(response) : checkSwitched(response, expectation.key)
    if (carried !== undefined) return yield* fail(...carried)

    const lines = valuesOf(headers, "sec-websocket-extensions")
    // §11.3.2: at most once in an answer
    if (lines.length > 1) return yield* fail("ExtensionsMalformed", "there is more than one Sec-WebSocket-Extensions")
    const parsed = Extension.parse(lines)
    if (Result.isFailure(parsed)) return yield* fail("ExtensionsMalformed", parsed.failure.detail)
    const offered = expectation.extensions ?? []
    const foreign = parsed.success.find(({ name }) => !offered.some((offer) => offer.name === name))
    if (foreign !== undefined) {
      return yield* fail("ExtensionUnexpected", `the extension ${show(foreign.name)} was not offered`)
    }

    const subprotocols = valuesOf(headers, "sec-websocket-protocol")
    const wanted = expectation.subprotocols ?? []
    const subprotocol = subprotocols[0]
    if (subprotocols.length > 1) {
      return yield* fail("SubprotocolUnexpected", "there is more than one Sec-WebSocket-Protocol") // §11.3.4
    }
    if (subprotocol !== undefined && !wanted.includes(subprotocol)) {
      return yield* fail("SubprotocolUnexpected", `the subprotocol ${show(subprotocol)} was not offered`)
    }
    if (subprotocol === undefined && wanted.length > 0 && expectation.requireSubprotocol !== false) {
      return yield* fail("SubprotocolMissing")
    }
    return { subprotocol, extensions: parsed.success }
  })

type Broken = readonly [rule: HandshakeRule, detail?: string]

/** What only HTTP/1.1 has: which rule is broken, if one is. */
const checkSwitched = ({ headers, status }: HandshakeResponse, key: string): Broken | undefined => {
  if (status !== 101) return ["StatusNot101", `the server answered ${status} instead of 101`]
  // Items 2 and 3: one value that equals "websocket", one list that contains "upgrade"
  const upgrades = valuesOf(headers, "upgrade")
  if (upgrades.length !== 1 || !equalsIgnoreCase(upgrades[0], "websocket")) return ["UpgradeInvalid"]
  if (!listHas(splitList(valuesOf(headers, "connection")) ?? [], "upgrade")) return ["ConnectionInvalid"]
  const accepts = valuesOf(headers, "sec-websocket-accept")
  return accepts.length === 1 && accepts[0] === acceptKey(key) ? undefined : ["AcceptInvalid"]
}

/** The same of an extended CONNECT. */
const checkConnected = ({ status }: HandshakeResponse): Broken | undefined =>
  status >= 200 && status <= 299 ? undefined : ["StatusNot101", `the server answered ${status} instead of 2xx`]
