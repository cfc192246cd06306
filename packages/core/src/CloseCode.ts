/**
 * Close codes (RFC 6455 §7.4 and the IANA registry), and how a connection closed.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Whether a code may be sent in a Close frame (RFC 6455 §7.4): 1000-1003, 1007-1014 and
 * 3000-4999. 1004 is reserved; 1005, 1006 and 1015 are never sent.
 *
 * @category guards
 * @since 0.1.0
 */
export const isWireValid = (code: number): boolean =>
  (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)

/**
 * Whether a code belongs to libraries, frameworks (3000-3999) and applications
 * (4000-4999) (RFC 6455 §7.4.2).
 *
 * @category guards
 * @since 0.1.0
 */
export const isApplication = (code: number): boolean => code >= 3000 && code <= 4999

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/**
 * A code that may be sent in a Close frame.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CloseCode = Schema.Union([
  between(1000, 1003),
  between(1007, 1014),
  between(3000, 4999)
]).annotate({ identifier: "CloseCode" })

/**
 * The type of {@link CloseCode}.
 *
 * @category models
 * @since 0.1.0
 */
export type CloseCode = typeof CloseCode.Type

/**
 * A code of the application's own range, 3000-4999.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ApplicationCloseCode = /*#__PURE__*/ between(3000, 4999).annotate({ identifier: "ApplicationCloseCode" })

/**
 * The purpose was fulfilled.
 *
 * @category constants
 * @since 0.1.0
 */
export const NormalClosure = 1000
/**
 * A server shuts down, or a browser leaves the page.
 *
 * @category constants
 * @since 0.1.0
 */
export const GoingAway = 1001
/**
 * The peer broke the protocol.
 *
 * @category constants
 * @since 0.1.0
 */
export const ProtocolError = 1002
/**
 * The endpoint cannot accept this kind of data.
 *
 * @category constants
 * @since 0.1.0
 */
export const UnsupportedData = 1003
/**
 * Never sent: a Close frame without a code was received.
 *
 * @category constants
 * @since 0.1.0
 */
export const NoStatusReceived = 1005
/**
 * Never sent: the connection ended without a Close frame.
 *
 * @category constants
 * @since 0.1.0
 */
export const AbnormalClosure = 1006
/**
 * A message's payload does not fit its type, such as text that is not UTF-8.
 *
 * @category constants
 * @since 0.1.0
 */
export const InvalidPayload = 1007
/**
 * A message violates a policy of the endpoint.
 *
 * @category constants
 * @since 0.1.0
 */
export const PolicyViolation = 1008
/**
 * A message is too big to process.
 *
 * @category constants
 * @since 0.1.0
 */
export const MessageTooBig = 1009
/**
 * Sent by clients only: the server did not negotiate an extension that is needed.
 *
 * @category constants
 * @since 0.1.0
 */
export const MandatoryExtension = 1010
/**
 * Something unexpected prevented the endpoint from going on.
 *
 * @category constants
 * @since 0.1.0
 */
export const InternalError = 1011
/**
 * The service restarts.
 *
 * @category constants
 * @since 0.1.0
 */
export const ServiceRestart = 1012
/**
 * The service is overloaded; try again later.
 *
 * @category constants
 * @since 0.1.0
 */
export const TryAgainLater = 1013
/**
 * A gateway received an invalid response.
 *
 * @category constants
 * @since 0.1.0
 */
export const BadGateway = 1014
/**
 * Never sent: the TLS handshake failed.
 *
 * @category constants
 * @since 0.1.0
 */
export const TlsHandshake = 1015

const names: ReadonlyMap<number, string> = new Map([
  [1000, "Normal Closure"],
  [1001, "Going Away"],
  [1002, "Protocol Error"],
  [1003, "Unsupported Data"],
  [1005, "No Status Received"],
  [1006, "Abnormal Closure"],
  [1007, "Invalid Payload"],
  [1008, "Policy Violation"],
  [1009, "Message Too Big"],
  [1010, "Mandatory Extension"],
  [1011, "Internal Error"],
  [1012, "Service Restart"],
  [1013, "Try Again Later"],
  [1014, "Bad Gateway"],
  [1015, "TLS Handshake"]
])

/**
 * The registered name of a code, for people who read logs.
 *
 * **Example** (Naming a code)
 *
 * ```ts
 * import { CloseCode } from "@effect-ws/core"
 *
 * console.log(CloseCode.nameOf(1009)) // Message Too Big
 * console.log(CloseCode.nameOf(4001)) // Application
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const nameOf = (code: number): string =>
  names.get(code) ?? (!isApplication(code) ? "Unassigned" : code >= 4000 ? "Application" : "Library")

/**
 * How a connection closed.
 *
 * **Details**
 *
 * - `code` and `reason` are those of the Close frame that began the closing
 *   handshake: the peer's where the peer was first, this side's otherwise. A Close
 *   without a code is 1005; an end without a Close frame is 1006.
 * - `initiator` says who closed first.
 * - `clean` is true where both sides sent a Close frame (RFC 6455 §7.1.4).
 * - `sent` and `received` are the codes and reasons of either side's frame.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CloseInfo = Schema.Struct({
  code: Schema.Int,
  reason: Schema.String,
  initiator: Schema.Literals(["local", "remote"]),
  clean: Schema.Boolean,
  sent: Schema.optional(Schema.Struct({ code: Schema.Int, reason: Schema.String })),
  received: Schema.optional(Schema.Struct({ code: Schema.Int, reason: Schema.String }))
}).annotate({ identifier: "CloseInfo" })

/**
 * The type of {@link CloseInfo}.
 *
 * @category models
 * @since 0.1.0
 */
export type CloseInfo = typeof CloseInfo.Type

/**
 * What to close a connection with. The reason is at most 123 bytes in UTF-8; one that is
 * longer is left out.
 *
 * @category models
 * @since 0.1.0
 */
export interface CloseWith {
  readonly code: number
  readonly reason?: string | undefined
}

/**
 * What to close a connection with where its scope ends with a typed failure: a code, or a
 * code and a reason. A code that may not be sent becomes 1011.
 *
 * @category models
 * @since 0.1.0
 */
export type CloseCodeFor = (error: unknown) => number | CloseWith
