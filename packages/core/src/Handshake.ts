/**
 * The opening handshake of RFC 6455 §4, both roles, on plain data: it knows no HTTP
 * server or client, does no I/O and never throws. Whatever the other side sent, the
 * result is a value or a typed `HandshakeError`.
 *
 * @since 0.1.0
 */
export type {
  Agreement,
  Expectation,
  HandshakeRequest,
  HandshakeResponse,
  MakeRequestOptions
} from "./rules/HandshakeClient.ts"
export { checkResponse, makeRequest } from "./rules/HandshakeClient.ts"
export { acceptKey } from "./rules/HandshakeKey.ts"
export type { HandshakeRule } from "./rules/HandshakeRule.ts"
export type {
  AcceptOptions,
  CheckRequestOptions,
  ClientRequest,
  UpgradeRequest,
  UpgradeResponse
} from "./rules/HandshakeServer.ts"
export { acceptResponse, checkRequest } from "./rules/HandshakeServer.ts"
export { encodeRequestHead, encodeResponseHead, statusText } from "./rules/HttpHead.ts"
export type { HeaderList } from "./rules/HttpTokens.ts"
export { checkDowngrade, normalizeUrl } from "./rules/WebSocketUrl.ts"
