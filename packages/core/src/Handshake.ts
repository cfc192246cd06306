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
} from "./handshake/ClientHandshake.ts"
export { checkResponse, makeRequest, overConnect } from "./handshake/ClientHandshake.ts"
export { acceptKey } from "./handshake/AcceptKey.ts"
export type {
  AcceptOptions,
  CheckRequestOptions,
  ClientRequest,
  UpgradeRequest
} from "./handshake/ServerHandshake.ts"
export { acceptResponse, checkRequest } from "./handshake/ServerHandshake.ts"
export type { UpgradeResponse } from "./handshake/UpgradeResponse.ts"
export { encodeUpgradeResponse } from "./handshake/UpgradeResponse.ts"
export { encodeRequestHead, encodeResponseHead, statusText } from "./handshake/HttpHead.ts"
export type { HeadersInput } from "./http/HeadersInput.ts"
export type { HeaderList } from "./http/Tokens.ts"
export { checkDowngrade, normalizeUrl } from "./handshake/WebSocketUrl.ts"
export type { HandshakeRule } from "./WebSocketError.ts"
