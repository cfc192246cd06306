/**
 * Every rule of the opening handshake, with the section that states it and the status with which
 * a server answers if it is broken. A check names a rule; the error is made from this table.
 */
import { HandshakeError, type HandshakeRule } from "../WebSocketError.ts"
import type { HeaderList } from "./Tokens.ts"

interface RuleInfo {
  readonly status: number
  readonly section: string
  readonly text: string
  /** The headers of a server's answer, besides the status. */
  readonly headers?: HeaderList
}

const upgradeRequired: HeaderList = [["upgrade", "websocket"], ["connection", "Upgrade"]]
const version13: HeaderList = [["sec-websocket-version", "13"]]

/**
 * The rules, by name.
 *
 * **Details**
 *
 * The statuses are those of a server's answer. The last two groups are not the client's fault:
 * 500 says that the application asked for something that the rules do not allow, and an error
 * that a client finds in an answer has the status of that answer instead.
 */
export const handshakeRules = {
  // What a server refuses
  MethodNotGet: {
    status: 405,
    section: "RFC 6455 §4.2.1",
    text: "the method is not GET",
    headers: [["allow", "GET"]]
  },
  // RFC 6455 §4.2.1 proposes 400. 426 would ask for an Upgrade, which RFC 9110 §7.8 ignores in
  // HTTP/1.0, and 505 concerns the major version.
  HttpVersionTooOld: { status: 400, section: "RFC 6455 §4.2.1", text: "the request is older than HTTP/1.1" },
  HttpVersionUnsupported: {
    status: 505,
    section: "RFC 9110 §15.6.6",
    text: "HTTP/1.1 is spoken here, and extended CONNECT on HTTP/2 and HTTP/3"
  },
  RequestHasBody: { status: 400, section: "RFC 9110 §9.3.1", text: "the request has a body" },
  TargetInvalid: { status: 400, section: "RFC 9112 §3.2", text: "the request target is neither a path nor an http URL" },
  HostInvalid: { status: 400, section: "RFC 6455 §4.2.1", text: "there is not exactly one valid Host header" },
  NotAnUpgrade: {
    status: 426,
    section: "RFC 6455 §4.2.1",
    text: "the request does not ask for an upgrade to websocket",
    headers: upgradeRequired
  },
  ConnectInvalid: { status: 400, section: "RFC 8441 §4", text: "the extended CONNECT is malformed" },
  ConnectProtocol: { status: 501, section: "RFC 9220 §3", text: "the :protocol of the extended CONNECT is not websocket" },
  VersionMissing: {
    status: 400,
    section: "RFC 6455 §4.2.1",
    text: "there is not exactly one Sec-WebSocket-Version header",
    headers: version13
  },
  VersionUnsupported: {
    status: 426,
    section: "RFC 6455 §4.4",
    text: "Sec-WebSocket-Version is not 13",
    headers: [...version13, ...upgradeRequired]
  },
  ExpectationFailed: { status: 417, section: "RFC 9110 §10.1.1", text: "an expectation other than 100-continue" },
  KeyInvalid: { status: 400, section: "RFC 6455 §4.2.1", text: "Sec-WebSocket-Key is not 16 bytes in base64" },
  SubprotocolsInvalid: {
    status: 400,
    section: "RFC 6455 §4.1",
    text: "Sec-WebSocket-Protocol is not a list of distinct tokens"
  },
  SubprotocolUnsupported: {
    status: 400,
    section: "RFC 6455 §4.2.2",
    text: "the server speaks none of the subprotocols that were offered"
  },
  ExtensionsMalformed: { status: 400, section: "RFC 6455 §9.1", text: "Sec-WebSocket-Extensions is malformed" },
  HeaderTooLarge: { status: 431, section: "RFC 6585 §5", text: "a header is longer than the limit" },
  OriginDuplicated: { status: 400, section: "RFC 6454 §7.3", text: "there is more than one Origin header" },
  OriginRefused: { status: 403, section: "RFC 6455 §10.2", text: "the origin is not allowed" },
  TooManyConnections: { status: 503, section: "RFC 9110 §15.6.4", text: "there are too many connections" },
  TooManyFromAddress: {
    status: 429,
    section: "RFC 6585 §4",
    text: "there are too many connections from this address"
  },
  TooManyUpgrades: { status: 429, section: "RFC 6585 §4", text: "this address connects too often" },

  Application: { status: 403, section: "RFC 6455 §4.2.2", text: "the application refused the request" },

  // What the program must not ask for
  OriginPolicyFailed: { status: 500, section: "RFC 6455 §10.2", text: "the origin policy threw" },
  SubprotocolNotOffered: { status: 500, section: "RFC 6455 §4.2.2", text: "the chosen subprotocol was not offered" },
  ExtensionNotOffered: { status: 500, section: "RFC 6455 §4.2.2", text: "the chosen extension was not offered" },
  HeaderInvalid: { status: 500, section: "RFC 9110 §5.5", text: "a header cannot be put on the wire" },
  HeaderReserved: { status: 500, section: "RFC 6455 §4.1", text: "a header belongs to the handshake" },
  HeaderDuplicated: { status: 500, section: "RFC 9110 §5.3", text: "a header may be given only once" },
  UrlInvalid: { status: 500, section: "RFC 6455 §3", text: "the URL cannot be parsed" },
  UrlScheme: { status: 500, section: "RFC 6455 §3", text: "the URL is none of ws, wss, http and https" },
  UrlFragment: { status: 500, section: "RFC 6455 §3", text: "the URL has a fragment" },
  UrlCredentials: {
    status: 500,
    section: "RFC 6455 §3",
    text: "the URL has a user or password: send an authorization header instead"
  },

  OptionUnsupported: {
    status: 500,
    section: "WHATWG WebSockets §3.1",
    text: "the WebSocket of this platform does not have this option"
  },

  // What a client finds in the answer
  ProxyRefused: { status: 502, section: "RFC 9110 §9.3.6", text: "the proxy refused to connect to the server" },
  StatusNot101: { status: 502, section: "RFC 6455 §4.1", text: "the server did not answer 101" },
  UpgradeInvalid: { status: 502, section: "RFC 6455 §4.1", text: "the answer's Upgrade is not websocket" },
  ConnectionInvalid: { status: 502, section: "RFC 6455 §4.1", text: "the answer's Connection has no upgrade" },
  AcceptInvalid: { status: 502, section: "RFC 6455 §4.1", text: "Sec-WebSocket-Accept does not fit the key" },
  ExtensionUnexpected: { status: 502, section: "RFC 6455 §4.1", text: "an extension was answered, not offered" },
  ExtensionInvalid: {
    status: 502,
    section: "RFC 6455 §9.1",
    text: "an extension was answered with invalid parameters"
  },
  SubprotocolUnexpected: { status: 502, section: "RFC 6455 §4.1", text: "a subprotocol was answered, not offered" },
  SubprotocolMissing: { status: 502, section: "RFC 6455 §4.1", text: "none of the subprotocols was accepted" },
  Downgraded: { status: 502, section: "RFC 6455 §10.6", text: "a secure URL ended on an insecure one" }
} as const satisfies Record<HandshakeRule, RuleInfo>

/** The error with which a server refuses: status and headers are those of the answer. */
export const refusal = (rule: HandshakeRule, detail?: string): HandshakeError => {
  const info: RuleInfo = handshakeRules[rule]
  return new HandshakeError({
    reason: rule,
    section: info.section,
    detail: detail ?? info.text,
    status: info.status,
    headers: info.headers ?? [],
    body: ""
  })
}

/** The same over extended CONNECT: HTTP/2 and HTTP/3 have no `Upgrade`, so there is no 426. */
export const refusalOverConnect = (rule: HandshakeRule, detail?: string): HandshakeError => {
  const error = refusal(rule, detail)
  const headers = error.headers.filter(([name]) => name !== "upgrade" && name !== "connection")
  return new HandshakeError({ ...error, status: error.status === 426 ? 400 : error.status, headers })
}

/** The error of a client whose request cannot be built: nothing was sent. */
export const invalidRequest = (rule: HandshakeRule, detail?: string): HandshakeError => {
  const info: RuleInfo = handshakeRules[rule]
  return new HandshakeError({
    reason: rule,
    section: info.section,
    detail: detail ?? info.text,
    headers: [],
    body: ""
  })
}

/** How much of a refusal's body an error keeps, in UTF-16 units. */
const maxBodyLength = 8192

/** The error of a client that cannot accept an answer: it carries that answer. */
export const invalidResponse = (
  rule: HandshakeRule,
  response: { readonly status: number; readonly headers: HeaderList; readonly body?: string | undefined },
  detail?: string
): HandshakeError => {
  const info: RuleInfo = handshakeRules[rule]
  return new HandshakeError({
    reason: rule,
    section: info.section,
    detail: detail ?? info.text,
    // A status that is no integer would make the error's own constructor throw
    ...(Number.isSafeInteger(response.status) ? { status: response.status } : {}),
    headers: response.headers.map(([name, value]) => [name.toLowerCase(), value] as const),
    body: cut(response.body ?? "")
  })
}

// A surrogate pair at the edge is dropped whole
const cut = (body: string): string => {
  if (body.length <= maxBodyLength) return body
  const last = body.charCodeAt(maxBodyLength - 1)
  return body.slice(0, last >= 0xd800 && last <= 0xdbff ? maxBodyLength - 1 : maxBodyLength)
}
