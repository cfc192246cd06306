/**
 * The server's half of the opening handshake (RFC 6455 §4.2). Pure and total:
 * whatever the headers, a value or a `HandshakeError` that says what to answer with.
 */
import * as Result from "effect/Result"
import * as Extension from "../Extension.ts"
import * as Origin from "../Origin.ts"
import type { Primitives } from "../Primitives.ts"
import type { HandshakeError, HandshakeRule } from "../WebSocketError.ts"
import { parseAuthority } from "../http/Authority.ts"
import { invalidCallerHeader } from "../http/CallerHeaders.ts"
import { acceptKey, isKey } from "./AcceptKey.ts"
import { responseLines, type UpgradeResponse } from "./UpgradeResponse.ts"
import { refusal, refusalOverConnect } from "../http/Refusal.ts"
import { authorityOf, isOriginForm } from "../http/Target.ts"
import { equalsIgnoreCase, type HeaderList, isDigit, isToken, linesHave, show, splitList, valuesOf } from "../http/Tokens.ts"

/**
 * The head of a request, as plain data.
 *
 * **Details**
 *
 * - `transport` is what carries the handshake: `"http/1.1"`, the default, by `Upgrade`, or
 *   `"connect"`, an extended CONNECT of HTTP/2 or HTTP/3 (RFC 8441, RFC 9220).
 * - `headers` as they were sent, duplicates kept (Node: `rawHeaders`). Those of an extended
 *   CONNECT have its pseudo-headers among them (`:protocol`, `:scheme`, `:authority`, `:path`).
 * - `httpVersion` such as `"1.1"`.
 * - `secure` is true only where TLS is known to end here; it makes the origin policy stricter.
 * - `hasBody` is for an HTTP server that knows of a body by other means than the headers.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpgradeRequest {
  readonly transport?: "http/1.1" | "connect" | undefined
  readonly method: string
  readonly httpVersion: string
  readonly target?: string | undefined
  readonly headers: HeaderList
  readonly secure?: boolean | undefined
  readonly hasBody?: boolean | undefined
}

/**
 * How a server judges requests.
 *
 * **Details**
 *
 * - `origin` is which pages may connect, by default those of the same host and port.
 * - `host` is the host and port that the client asked for, where a proxy that is trusted says
 *   so; by default those of the request itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CheckRequestOptions {
  readonly origin?: Origin.OriginPolicy | undefined
  readonly host?: string | undefined
}

/**
 * What a client asked for, once its request was found in order.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientRequest {
  /** `undefined` over extended CONNECT, which has none. */
  readonly key: string | undefined
  /** In the client's order of preference, distinct. */
  readonly subprotocols: ReadonlyArray<string>
  /** In the client's order of preference. */
  readonly extensions: ReadonlyArray<Extension.ExtensionHeader>
  readonly origin: string | undefined
  readonly host: string
  /** Waits for a 100 (RFC 9110 §10.1.1). */
  readonly expectsContinue: boolean
}

/**
 * Checks a client's request (RFC 6455 §4.2.1, RFC 8441 §5).
 *
 * **Details**
 *
 * A refusal's `status` and `headers` are those to answer with: 405 for another method,
 * 426 for what is no upgrade and for another version than 13, 403 for the origin, 431 for
 * lists beyond 8 KiB or 64 elements, 417 for another expectation than 100-continue, 505 for
 * another major version of HTTP, 400 for all that is malformed. Over extended CONNECT another version is answered with 400, another
 * `:protocol` with 501, and a key is ignored.
 *
 * **Example** (Checking a request)
 *
 * ```ts
 * import { Handshake } from "@effect-ws/core"
 *
 * const checked = Handshake.checkRequest({
 *   method: "GET",
 *   httpVersion: "1.1",
 *   headers: [
 *     ["Host", "example.com"],
 *     ["Upgrade", "websocket"],
 *     ["Connection", "Upgrade"],
 *     ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
 *     ["Sec-WebSocket-Version", "13"]
 *   ]
 * })
 * console.log(checked._tag) // Success
 * ```
 *
 * @category server
 * @since 0.1.0
 */
export const checkRequest = (
  request: UpgradeRequest,
  options: CheckRequestOptions = {}
): Result.Result<ClientRequest, HandshakeError> => {
  const { headers } = request
  const isConnect = request.transport === "connect"
  const asked = isConnect ? checkConnect(request) : checkUpgrade(request)
  if (Result.isFailure(asked)) return Result.fail(asked.failure)
  const host = options.host ?? asked.success

  const versions = valuesOf(headers, "sec-websocket-version")
  if (versions.length !== 1) return refuse("VersionMissing")
  if (versions[0] !== "13") {
    return isConnect ? Result.fail(refusalOverConnect("VersionUnsupported")) : refuse("VersionUnsupported")
  }
  const expected = splitList(valuesOf(headers, "expect"))
  if (expected === undefined) return tooLong("expect")
  if (expected.some((expectation) => !equalsIgnoreCase(expectation, "100-continue"))) return refuse("ExpectationFailed")
  const key = isConnect ? noKey : keyOf(headers)
  if (Result.isFailure(key)) return Result.fail(key.failure)

  const subprotocols = subprotocolsOf(headers)
  if (Result.isFailure(subprotocols)) return Result.fail(subprotocols.failure)
  const extensions = Extension.parse(valuesOf(headers, "sec-websocket-extensions"))
  if (Result.isFailure(extensions)) return Result.fail(extensions.failure)

  const origins = valuesOf(headers, "origin")
  if (origins.length > 1) return refuse("OriginDuplicated")
  const origin = origins[0]
  const allowed = Origin.check(options.origin ?? Origin.sameHost, origin, host, request)
  if (Result.isFailure(allowed)) return Result.fail(allowed.failure)

  return Result.succeed({
    key: key.success,
    subprotocols: subprotocols.success,
    extensions: extensions.success,
    origin,
    host,
    expectsContinue: expected.length > 0
  })
}

/** What only HTTP/1.1 has; the result is the host that is asked. */
const checkUpgrade = (request: UpgradeRequest): Result.Result<string, HandshakeError> => {
  const { headers } = request
  if (request.method !== "GET") return refuse("MethodNotGet")
  const version = checkVersion(request.httpVersion)
  if (version !== undefined) return refuse(version)
  if (request.hasBody === true || announcesBody(headers)) return refuse("RequestHasBody")

  const hosts = valuesOf(headers, "host")
  const host = hosts[0]
  if (host === undefined || hosts.length > 1 || parseAuthority(host) === undefined) return refuse("HostInvalid")
  const { target = "/" } = request
  // RFC 9112 §3.2.2: the authority of a target comes before Host.
  const asked = isOriginForm(target) ? host : authorityOf(target)
  if (asked === undefined || parseAuthority(asked) === undefined) return refuse("TargetInvalid")

  const upgrade = linesHave(valuesOf(headers, "upgrade"), "websocket")
  if (upgrade === undefined) return tooLong("upgrade")
  if (!upgrade) return refuse("NotAnUpgrade")
  // RFC 9110 §7.8: without the connection option, Upgrade is not meant for us
  const connection = linesHave(valuesOf(headers, "connection"), "upgrade")
  if (connection === undefined) return tooLong("connection")
  if (!connection) return refuse("NotAnUpgrade")
  return Result.succeed(asked)
}

/** RFC 8441 §4 and §5, RFC 9113 §8.2.2 and §8.3.1: the same of an extended CONNECT. */
const checkConnect = (request: UpgradeRequest): Result.Result<string, HandshakeError> => {
  const { headers } = request
  if (request.method !== "CONNECT") return refuse("ConnectInvalid", "the method is not CONNECT")
  const protocols = valuesOf(headers, ":protocol")
  if (protocols.length !== 1) return refuse("ConnectInvalid", "there is not exactly one :protocol")
  if (protocols[0] !== "websocket") return refuse("ConnectProtocol")
  if (request.hasBody === true || announcesBody(headers)) return refuse("RequestHasBody")
  const schemes = valuesOf(headers, ":scheme")
  if (schemes.length !== 1 || (schemes[0] !== "https" && schemes[0] !== "http")) {
    return refuse("ConnectInvalid", "the :scheme is neither https nor http")
  }
  const paths = valuesOf(headers, ":path")
  if (paths.length !== 1 || !isOriginForm(paths[0])) return refuse("ConnectInvalid", "there is not exactly one valid :path")
  for (const name of ["connection", "upgrade"]) {
    if (valuesOf(headers, name).length > 0) return refuse("ConnectInvalid", `HTTP/2 and HTTP/3 have no ${name} header`)
  }
  const authorities = valuesOf(headers, ":authority")
  const authority = authorities[0]
  const isOne = authority !== undefined && authorities.length === 1 && parseAuthority(authority) !== undefined
  if (!isOne || valuesOf(headers, "host").some((host) => host !== authority)) {
    return refuse("HostInvalid", "there is not exactly one valid :authority")
  }
  return Result.succeed(authority)
}

const noKey: Result.Result<string | undefined, HandshakeError> = Result.succeed(undefined)

const keyOf = (headers: HeaderList): Result.Result<string | undefined, HandshakeError> => {
  const keys = valuesOf(headers, "sec-websocket-key")
  const key = keys[0]
  if (key === undefined || keys.length > 1) {
    return refuse("KeyInvalid", `there are ${keys.length} Sec-WebSocket-Key headers`)
  }
  return isKey(key) ? Result.succeed(key) : refuse("KeyInvalid")
}

const refuse = (rule: HandshakeRule, detail?: string): Result.Result<never, HandshakeError> =>
  Result.fail(refusal(rule, detail))

/**
 * RFC 9112 §2.3: DIGIT "." DIGIT. Text that names another major version is not HTTP/1.1: HTTP/2 and
 * HTTP/3 are no text, and their handshake is an extended CONNECT.
 */
const checkVersion = (version: string): HandshakeRule | undefined => {
  const major = version.charCodeAt(0)
  const minor = version.charCodeAt(2)
  const isVersion = version.length === 3 && version[1] === "." && isDigit(major) && isDigit(minor)
  if (!isVersion || major < 0x31 || (major === 0x31 && minor < 0x31)) return "HttpVersionTooOld"
  return major === 0x31 ? undefined : "HttpVersionUnsupported"
}

/** What is no plain zero announces a body, or is an attempt to have it read in two ways. */
const announcesBody = (headers: HeaderList): boolean =>
  valuesOf(headers, "transfer-encoding").length > 0 ||
  valuesOf(headers, "content-length").some((value) => value !== "0")

const tooLong = (name: string): Result.Result<never, HandshakeError> => refuse("HeaderTooLarge", `${name} is too long`)

const noProtocols: Result.Result<ReadonlyArray<string>> = Result.succeed([])

/** RFC 6455 §4.2.1 and §11.3.4: 1#token, all different. */
const subprotocolsOf = (headers: HeaderList): Result.Result<ReadonlyArray<string>, HandshakeError> => {
  const values = valuesOf(headers, "sec-websocket-protocol")
  if (values.length === 0) return noProtocols
  const subprotocols = splitList(values)
  if (subprotocols === undefined) return tooLong("sec-websocket-protocol")
  if (subprotocols.length === 0) return refuse("SubprotocolsInvalid", "Sec-WebSocket-Protocol is empty")
  const invalid = subprotocols.find((subprotocol) => !isToken(subprotocol))
  if (invalid !== undefined) return refuse("SubprotocolsInvalid", `the subprotocol ${show(invalid)} is not a token`)
  return new Set(subprotocols).size === subprotocols.length
    ? Result.succeed(subprotocols)
    : refuse("SubprotocolsInvalid", "a subprotocol is offered twice")
}

/**
 * What an application chose.
 *
 * **Details**
 *
 * - `subprotocol`: one that the client offered, or none.
 * - `extensions`: the value of the header, of extensions that the client offered.
 * - `headers`: what else to send along, such as cookies.
 * - `sha1`: the platform's own, where it has a faster one; see `Primitives`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AcceptOptions {
  readonly subprotocol?: string | undefined
  readonly extensions?: string | undefined
  readonly headers?: HeaderList | undefined
  readonly sha1?: Primitives["sha1"] | undefined
}

/**
 * Builds the answer that accepts a request (RFC 6455 §4.2.2, RFC 8441 §5).
 *
 * **Details**
 *
 * Fails, with status 500, where the application chose what was not offered or gave a
 * header that cannot be sent or belongs to the handshake.
 *
 * @category server
 * @since 0.1.0
 */
export const acceptResponse = (
  request: ClientRequest,
  options: AcceptOptions = {}
): Result.Result<UpgradeResponse, HandshakeError> => {
  const { headers: applicationHeaders = noHeaders, subprotocol } = options
  if (subprotocol !== undefined && (!isToken(subprotocol) || !request.subprotocols.includes(subprotocol))) {
    return refuse("SubprotocolNotOffered", `the subprotocol ${show(subprotocol)} was not offered`)
  }
  const extensions = options.extensions === undefined || options.extensions === ""
    ? noExtensions
    : chosenExtensions(request, options.extensions)
  if (Result.isFailure(extensions)) return Result.fail(extensions.failure)
  const fault = invalidCallerHeader(applicationHeaders, "response")
  if (fault !== undefined) return refuse(fault.rule, fault.detail)
  const accept = request.key === undefined ? undefined : acceptKey(request.key, options.sha1)
  const chosen = { subprotocol, extensions: extensions.success, applicationHeaders }
  return Result.succeed({
    status: accept === undefined ? 200 : 101,
    headers: responseLines(accept, chosen),
    continues: request.expectsContinue,
    ...chosen
  })
}

const noHeaders: HeaderList = []

const noExtensions: Result.Result<string | undefined, HandshakeError> = Result.succeed(undefined)

const chosenExtensions = (request: ClientRequest, value: string): Result.Result<string | undefined, HandshakeError> => {
  const chosen = Extension.parse([value])
  if (Result.isFailure(chosen)) return refuse("HeaderInvalid", chosen.failure.detail)
  const foreign = chosen.success.find(({ name }) => !request.extensions.some((offer) => offer.name === name))
  return foreign === undefined
    ? Result.succeed(value)
    : refuse("ExtensionNotOffered", `the extension ${show(foreign.name)} was not offered`)
}
