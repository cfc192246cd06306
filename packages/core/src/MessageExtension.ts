/**
 * What an extension is (RFC 6455 §9): it negotiates from plain header data, and then
 * transforms the payloads of messages. `Protocol` knows none by name. `PerMessageDeflate` is
 * one, and you can write others.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import type { ExtensionHeader, ExtensionParam } from "./Extension.ts"
import type { Message } from "./Message.ts"

/**
 * An extension as a client or server supports it.
 *
 * **Details**
 *
 * - `offers`: what a client offers, the preferred first.
 * - `agree`: a client checks the server's answer to its offers. A failure, which says what
 *   is wrong, fails the handshake (RFC 6455 §9.1).
 * - `answer`: a server checks one offer; the offers are tried in order. `undefined` declines
 *   it. Otherwise it returns the parameters of the answer, and the transform that starts once
 *   the answer was sent.
 *
 * Nothing is allocated before `open` is called, and `Transform.close` releases what it
 * allocated. `offers` is read once for each handshake and may differ between them.
 *
 * An exception of an encoder is a defect of the sender; one of a decoder ends the connection
 * as a {@link DecodeFailure} does.
 *
 * **Example** (An extension that masks messages with the server's key)
 *
 * ```ts
 * import type { MessageExtension } from "@effect-ws/core"
 * import { Result } from "effect"
 *
 * const rsv2 = 2
 *
 * const open = (key: number): MessageExtension.Transform => {
 *   const flip = (bytes: Uint8Array) => bytes.map((byte) => byte ^ key)
 *   let pushed: Uint8Array | undefined
 *   return {
 *     name: "x-xor",
 *     rsv: rsv2,
 *     encoder: { sliceSize: 1024 * 1024, begin: () => rsv2, push: (bytes) => flip(bytes) },
 *     decoder: {
 *       begin: () => {},
 *       push: (bytes) => {
 *         pushed = bytes
 *       },
 *       next: () => {
 *         const flipped = pushed === undefined ? undefined : flip(pushed)
 *         pushed = undefined
 *         return flipped
 *       }
 *     },
 *     close: () => {}
 *   }
 * }
 *
 * const keyOf = (value: string | undefined): number | undefined => {
 *   const key = Number(value)
 *   return Number.isInteger(key) && key > 0 && key < 256 ? key : undefined
 * }
 *
 * export const xor = (key: number): MessageExtension.MessageExtension => ({
 *   name: "x-xor",
 *   offers: [[]],
 *   agree: ({ params }) => {
 *     const agreed = params.length === 1 && params[0]?.name === "key" ? keyOf(params[0].value) : undefined
 *     return agreed === undefined ? Result.fail("key is missing") : Result.succeed({ open: () => open(agreed) })
 *   },
 *   answer: ({ params }) =>
 *     params.length > 0
 *       ? undefined
 *       : { params: [{ name: "key", value: String(key) }], open: () => open(key) }
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageExtension {
  readonly name: string
  readonly offers: ReadonlyArray<ReadonlyArray<ExtensionParam>>
  readonly agree: (
    answer: ExtensionHeader
  ) => Result.Result<{ readonly open: () => Transform }, string>
  readonly answer: (
    offer: ExtensionHeader
  ) => { readonly params: ReadonlyArray<ExtensionParam>; readonly open: () => Transform } | undefined
}

/**
 * A negotiated extension on one connection.
 *
 * **Details**
 *
 * `rsv` is the reserved bits that it claims on the first frame of a data message, as a
 * number: RSV1 is 4, RSV2 is 2, RSV3 is 1 (RFC 6455 §5.2). No other frame may set them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transform {
  readonly name: string
  readonly rsv: number
  readonly encoder: Encoder
  readonly decoder: Decoder
  /**
   * Called once, when the connection is released and everything that had arrived was
   * decoded or dropped. Nothing else is called after it.
   */
  readonly close: () => void
}

/**
 * The sending half.
 *
 * **Details**
 *
 * - `begin` is called before each message; `message` is `undefined` for one that is sent
 *   from a stream. It returns the reserved bits of the message's first frame, out of those
 *   that are claimed. 0 sends the message as it is, and `push` is not called.
 * - `push` transforms the next bytes of the message and returns what can be sent so far,
 *   possibly nothing; `last` ends the message. The caller may keep and change the result.
 *   `bytes` remains the caller's and is overwritten: never return it.
 * - `sliceSize`: the most bytes to push at once, chosen so that one call takes well under 5
 *   ms. A larger message is sent in fragments, with a turn of the event loop between them;
 *   many smaller ones of the same total size get such turns too.
 * - `shareKey`: encoders with the same key encode a whole message to the same bytes, whatever
 *   was sent before, so a prepared message is encoded once for all of them. `undefined` says
 *   that the result depends on this encoder's state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Encoder {
  readonly sliceSize: number
  readonly shareKey?: string | undefined
  readonly begin: (message: Message | undefined) => number
  readonly push: (bytes: Uint8Array, last: boolean) => Uint8Array
}

/**
 * The receiving half.
 *
 * **Details**
 *
 * - `begin` starts a message whose first frame has the claimed bits `rsv`; it is not called
 *   for a message without any of them.
 * - `push` passes the next bytes of the message, at most 16 KiB, which remain valid until
 *   `next` returns `undefined`; `last` ends the message.
 * - `next` does a bounded step of the work (well under 5 ms, a few MiB of output at most)
 *   and returns its output, possibly empty, which counts towards the limits of the message.
 *   It returns `undefined` once everything that was pushed is decoded, and a
 *   {@link DecodeFailure} if the bytes are invalid. The output belongs to the caller.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoder {
  readonly begin: (rsv: number) => void
  readonly push: (bytes: Uint8Array, last: boolean) => void
  readonly next: () => Uint8Array | DecodeFailure | undefined
}

/**
 * Why a {@link Decoder} could not decode a message. The connection is closed with 1007.
 *
 * @category models
 * @since 0.1.0
 */
export interface DecodeFailure {
  readonly detail: string
}
