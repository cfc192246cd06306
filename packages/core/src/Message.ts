/**
 * What an application sends and receives: text or binary (RFC 6455 §5.6).
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { bytesOf } from "./codec/Bytes.ts"
import { portableUtf8Length } from "./codec/Utf8Text.ts"

/**
 * A whole message: a `string` is a text message, a `Uint8Array` a binary one.
 *
 * **Gotchas**
 *
 * Text is sent as UTF-8, which has no lone surrogates: each one in a string arrives as
 * U+FFFD.
 *
 * Small binary messages that arrived together are views of one `ArrayBuffer`: use
 * `byteOffset` and `byteLength`, and copy a message before its buffer is transferred.
 *
 * **Example** (Text or binary)
 *
 * ```ts
 * import { Message } from "@effect-ws/core"
 *
 * const describe = (message: Message.Message): string =>
 *   Message.isText(message) ? `text: ${message}` : `binary: ${message.length} bytes`
 *
 * console.log(describe("hello")) // text: hello
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const Message = /*#__PURE__*/ Schema.Union([Schema.String, Schema.Uint8Array]).annotate({ identifier: "Message" })

/**
 * The type of {@link Message}.
 *
 * @category models
 * @since 0.1.0
 */
export type Message = typeof Message.Type

/**
 * Whether a message is text.
 *
 * @category guards
 * @since 0.1.0
 */
export const isText = (message: Message): message is string => typeof message === "string"

/**
 * Whether a message is binary.
 *
 * @category guards
 * @since 0.1.0
 */
export const isBinary = (message: Message): message is Uint8Array => typeof message !== "string"

/**
 * The number of bytes of a message's payload; of a text, those of its UTF-8.
 *
 * @category accessors
 * @since 0.1.0
 */
export const byteLength = (message: Message): number =>
  typeof message === "string" ? portableUtf8Length(message) : message.length

/**
 * A message that is encoded once and sent to many. Made by {@link prepare}.
 *
 * @category models
 * @since 0.1.0
 */
export class Prepared {
  readonly message: Message
  private readonly encodings = new Map<string, Uint8Array>()

  /**
   * See {@link prepare}.
   */
  constructor(message: Message) {
    // A copy: the caller may change its bytes afterwards.
    this.message = typeof message === "string" ? message : Uint8Array.from(bytesOf(message))
  }

  /**
   * What `encode` returned for this message when it was first called with this key.
   *
   * @internal
   */
  encoding(key: string, encode: (message: Message) => Uint8Array): Uint8Array {
    let encoded = this.encodings.get(key)
    if (encoded === undefined) this.encodings.set(key, encoded = encode(this.message))
    return encoded
  }
}

/**
 * What can be sent: a message, or one that was prepared.
 *
 * @category models
 * @since 0.1.0
 */
export type Sendable = Message | Prepared

/**
 * Prepares a message for many connections: it is encoded once for all connections that
 * encode alike, instead of once for each.
 *
 * **When to use**
 *
 * For a broadcast. For a single connection it gains nothing.
 *
 * **Details**
 *
 * Servers share the whole frame among all connections without compression, and among those
 * that negotiated the same parameters with `server_no_context_takeover`. With a kept context
 * the bytes depend on earlier messages (RFC 7692 §7.1.1), and a client masks each frame with
 * a fresh key (RFC 6455 §5.3): there the message is sent like any other. Bytes are copied,
 * so they may be changed afterwards.
 *
 * **Example** (A broadcast)
 *
 * ```ts
 * import { Message, type WebSocket } from "@effect-ws/core"
 * import { Effect } from "effect"
 *
 * export const tellAll = (all: Iterable<WebSocket.WebSocket>, news: string) => {
 *   const prepared = Message.prepare(news)
 *   return Effect.forEach(all, (ws) => Effect.ignore(ws.send(prepared)), { discard: true })
 * }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const prepare = (message: Message): Prepared => new Prepared(message)
