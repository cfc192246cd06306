/**
 * What an application sends and receives: text or binary (RFC 6455 §5.6).
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { portableUtf8Length } from "./codec/Utf8Text.ts"

/**
 * A whole message: a `string` is a text message, a `Uint8Array` a binary one.
 *
 * **Gotchas**
 *
 * Text travels as UTF-8, which has no lone surrogates: each one in a string that is
 * sent arrives as U+FFFD.
 *
 * **Example** (Telling the two apart)
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
export const Message = Schema.Union([Schema.String, Schema.Uint8Array]).annotate({ identifier: "Message" })

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
 * The number of bytes of a message's payload: of a text, those of its UTF-8.
 *
 * @category accessors
 * @since 0.1.0
 */
export const byteLength = (message: Message): number =>
  typeof message === "string" ? portableUtf8Length(message) : message.length
