/**
 * Everything that can go wrong, as flat tagged errors: each signature lists exactly the errors
 * that can happen, and `Effect.catchTag` catches one of them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { CloseCode, CloseInfo } from "./CloseCode.ts"

/**
 * The rules of the protocol that a peer's bytes can break: the values of
 * `ProtocolError.rule`.
 *
 * @category models
 * @since 0.1.0
 */
export type ProtocolRule =
  | "ReservedBit"
  | "ReservedOpcode"
  | "LengthNotMinimal"
  | "LengthHighBit"
  | "MaskMissing"
  | "MaskUnexpected"
  | "ControlFragmented"
  | "ControlTooLong"
  | "ContinuationUnexpected"
  | "ContinuationExpected"
  | "InvalidUtf8"
  | "CloseTooShort"
  | "CloseCodeInvalid"
  | "CloseReasonInvalid"
  | "ExtensionData"
  | "MessageTooBig"
  | "TooManyControlFrames"
  | "MessageTooSlow"
  | "TooManyFragments"
  | "TooMuchUnread"
  | "FrameIncomplete"
  | "FrameTrailing"
  | "PayloadType"
  | "MaskKeySize"

/**
 * The rules of the opening handshake: the values of `HandshakeError.reason`. `Application` is a
 * refusal of your own, see {@link HandshakeError}.
 *
 * @category models
 * @since 0.1.0
 */
export type HandshakeRule =
  | "MethodNotGet"
  | "HttpVersionTooOld"
  | "HttpVersionUnsupported"
  | "RequestHasBody"
  | "TargetInvalid"
  | "HostInvalid"
  | "NotAnUpgrade"
  | "ConnectInvalid"
  | "ConnectProtocol"
  | "VersionMissing"
  | "VersionUnsupported"
  | "ExpectationFailed"
  | "KeyInvalid"
  | "SubprotocolsInvalid"
  | "SubprotocolUnsupported"
  | "ExtensionsMalformed"
  | "HeaderTooLarge"
  | "OriginDuplicated"
  | "OriginRefused"
  | "TooManyConnections"
  | "TooManyFromAddress"
  | "TooManyUpgrades"
  | "OriginPolicyFailed"
  | "SubprotocolNotOffered"
  | "ExtensionNotOffered"
  | "HeaderInvalid"
  | "HeaderReserved"
  | "HeaderDuplicated"
  | "UrlInvalid"
  | "UrlScheme"
  | "UrlFragment"
  | "UrlCredentials"
  | "ProxyRefused"
  | "StatusNot101"
  | "UpgradeInvalid"
  | "ConnectionInvalid"
  | "AcceptInvalid"
  | "ExtensionUnexpected"
  | "ExtensionInvalid"
  | "SubprotocolUnexpected"
  | "SubprotocolMissing"
  | "Downgraded"
  | "OptionUnsupported"
  | "Application"

/**
 * What was under way when a connection broke: the values of `IOError.phase`.
 *
 * @category models
 * @since 0.1.0
 */
export type IOPhase = IOError["phase"]

/**
 * Why a connection broke: the values of `IOError.reason`.
 *
 * @category models
 * @since 0.1.0
 */
export type IOReason = IOError["reason"]

// Typed as the names that this version knows, and not compared with them when decoded: an error may
// come from another version, by RPC or out of a log.
const nameOfRule = <Name extends string>() =>
  Schema.declare<Name>((input): input is Name => typeof input === "string", { expected: "the name of a rule" })

/**
 * The peer broke a rule of the protocol. The connection is closed with `code`.
 *
 * **Details**
 *
 * `rule` is the name of the rule (see {@link ProtocolRule}), `section` the section that states it,
 * `detail` what the peer sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProtocolError extends /*#__PURE__*/ Schema.TaggedError<ProtocolError>("@effect-ws/core/WebSocketError/ProtocolError")("ProtocolError", {
  code: CloseCode,
  rule: nameOfRule<ProtocolRule>(),
  section: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.detail} (${this.rule}, ${this.section}; closed with ${this.code})`
  }
}

/**
 * The connection could not be made, or broke, beneath the protocol.
 *
 * **Details**
 *
 * - `phase`: what was under way. `connect`: dialling, until the request was sent;
 *   `handshake`: waiting for the answer, or for the request; `read` and `write`: an
 *   open connection; `keepalive`: waiting for the Pong of a keepalive Ping; `close`: the closing
 *   handshake.
 * - `reason`: `Refused` nothing listens at the address; `Unresolved` the host name is unknown;
 *   `Tls` the certificate or the TLS handshake failed; `Reset` the peer or the network cut the
 *   connection; `EndOfStream` the peer ended it without a Close frame; `TimedOut` a deadline
 *   passed; `Aborted` this side dropped it; `Unknown` anything else, see `cause`.
 *
 * @category errors
 * @since 0.1.0
 */
export class IOError extends /*#__PURE__*/ Schema.TaggedError<IOError>("@effect-ws/core/WebSocketError/IOError")("IOError", {
  phase: Schema.Literals(["connect", "handshake", "read", "write", "keepalive", "close"]),
  reason: Schema.Literals([
    "Refused",
    "Unresolved",
    "Tls",
    "Reset",
    "EndOfStream",
    "TimedOut",
    "Aborted",
    "Unknown"
  ]),
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `${this.detail} (${this.reason} during ${this.phase})`
  }
}

/**
 * The opening handshake failed: the peer refused it, or sent an answer that RFC 6455 does not
 * allow.
 *
 * **Details**
 *
 * - `reason` names the check that failed (see {@link HandshakeRule}); `Application` in a
 *   refusal of your own.
 * - `status`: on a client the status of the answer, if there was one; on a server the status
 *   with which the request is answered.
 * - `headers`: on a client the headers of the answer; on a server headers for the answer, such
 *   as `sec-websocket-version`. A list of pairs, names in lower case.
 * - `body`: on a client the first 8 KiB of the answer's body.
 *
 * @category errors
 * @since 0.1.0
 */
export class HandshakeError extends /*#__PURE__*/ Schema.TaggedError<HandshakeError>("@effect-ws/core/WebSocketError/HandshakeError")(
  "HandshakeError",
  {
    reason: nameOfRule<HandshakeRule>(),
    section: Schema.String,
    detail: Schema.String,
    status: Schema.optional(Schema.Int),
    headers: Schema.Array(Schema.Tuple([Schema.String, Schema.String])),
    body: Schema.String
  }
) {
  override get message() {
    const status = this.status === undefined ? "" : `, status ${this.status}`
    return `${this.detail} (${this.reason}${status}, ${this.section})`
  }
}

/**
 * The connection is closing or closed, so nothing more can be sent or received.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionClosed extends /*#__PURE__*/ Schema.TaggedError<ConnectionClosed>("@effect-ws/core/WebSocketError/ConnectionClosed")(
  "ConnectionClosed",
  { info: CloseInfo }
) {
  override get message() {
    const { clean, code, initiator, reason, received } = this.info
    const closer = initiator === "local" ? "this side" : "the peer"
    return `The connection was closed by ${closer} with ${code}` +
      `${reason === "" ? "" : `: ${reason}`}${clean || received !== undefined ? "" : " (the peer's Close has not arrived)"}`
  }
}

/**
 * An argument cannot be sent: a close code that RFC 6455 does not allow, a reason above 123
 * bytes, a ping token above 125 bytes, a name that topics cannot carry. Nothing was sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidArgument extends /*#__PURE__*/ Schema.TaggedError<InvalidArgument>("@effect-ws/core/WebSocketError/InvalidArgument")(
  "InvalidArgument",
  {
    argument: Schema.String,
    detail: Schema.String
  }
) {
  override get message() {
    return `${this.argument}: ${this.detail}`
  }
}

/**
 * The connection cannot do this, because it runs on a WebSocket that its platform has of its own;
 * see `WebSocket.capabilities`. Nothing was sent.
 *
 * **Details**
 *
 * `operation` is what was asked for, such as `ping`.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unsupported extends /*#__PURE__*/ Schema.TaggedError<Unsupported>("@effect-ws/core/WebSocketError/Unsupported")(
  "Unsupported",
  { operation: Schema.String, detail: Schema.String }
) {
  override get message() {
    return `${this.operation}: ${this.detail}`
  }
}

/**
 * A request cannot become a WebSocket because it is not served by a server layer of
 * this library, which alone hands over its connection.
 *
 * @category errors
 * @since 0.1.0
 */
export class UpgradeUnavailable extends /*#__PURE__*/ Schema.TaggedError<UpgradeUnavailable>("@effect-ws/core/WebSocketError/UpgradeUnavailable")(
  "UpgradeUnavailable",
  {}
) {
  override get message() {
    return "This HTTP server cannot hand over its connections to WebSocketServer.accept. On Node serve with " +
      "`NodeHttpServer.layer` of @effect-ws/node in place of the one of @effect/platform-node"
  }
}

/**
 * A client that comes back has no connection to send this message on. The message was handed to
 * none, so it can be sent again without arriving twice.
 *
 * **Details**
 *
 * - `reason`: `Away` there is no connection now and the sender does not wait for the next one;
 *   `TooManyWaiting` as many senders wait for it already as `maxWaiting` allows; `Lost` the
 *   connection ended before it accepted the message; `Ended` the client makes no more connections.
 * - `cause`: why the last connection, or attempt, ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotConnected extends /*#__PURE__*/ Schema.TaggedError<NotConnected>("@effect-ws/core/WebSocketError/NotConnected")(
  "NotConnected",
  {
    reason: /*#__PURE__*/ Schema.Literals(["Away", "TooManyWaiting", "Lost", "Ended"]),
    cause: /*#__PURE__*/ Schema.optional(/*#__PURE__*/ Schema.Defect())
  }
) {
  override get message() {
    return `Not sent: ${notConnected[this.reason]}`
  }
}

const notConnected = {
  Away: "there is no connection at the moment",
  TooManyWaiting: "too many senders wait for the next connection already",
  Lost: "the connection ended before it accepted the message",
  Ended: "the client makes no more connections"
}

/**
 * The connection broke after it had accepted messages and before its transport had taken all of
 * them. They may have arrived or not; they are not sent again.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeliveryUnknown extends /*#__PURE__*/ Schema.TaggedError<DeliveryUnknown>("@effect-ws/core/WebSocketError/DeliveryUnknown")(
  "DeliveryUnknown",
  { cause: /*#__PURE__*/ Schema.optional(/*#__PURE__*/ Schema.Defect()) }
) {
  override get message() {
    return "The connection broke while it had messages to deliver: they may have arrived or not"
  }
}
