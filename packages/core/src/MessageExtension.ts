/**
 * What an extension is (RFC 6455 §9): it negotiates from plain header data and, once
 * negotiated, transforms the payloads of messages. The protocol machine knows none by
 * name; `PerMessageDeflate` is one, and anyone can write another.
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
 * - `agree`: a client judges the server's answer to its offers; a failure, with what is
 *   wrong, fails the handshake (RFC 6455 §9.1).
 * - `answer`: a server judges one offer; the offers are tried in order. `undefined`
 *   declines it. Otherwise the parameters to answer with and the transform that starts
 *   once the answer was sent.
 *
 * Nothing is allocated before `open` is called, and what it allocates is released by
 * `Transform.close`. `offers` may depend on the moment: it is read once a handshake.
 *
 * What an encoder throws is a defect of the sender; what a decoder throws ends the
 * connection as a {@link DecodeFailure} does.
 *
 * **Example** (An extension of one's own, which masks messages with the server's key)
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
 * A negotiated extension at work on one connection.
 *
 * **Details**
 *
 * `rsv` is the reserved bits that it claims on the first frame of a data message, as a
 * number: RSV1 is 4, RSV2 is 2, RSV3 is 1 (RFC 6455 §5.2). No other frame may carry
 * them.
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
   * Called once, when the connection is gone and all that had arrived was decoded, or is
   * not wanted any more. Nothing else is called after it.
   */
  readonly close: () => void
}

/**
 * The sending half.
 *
 * **Details**
 *
 * - `begin` is asked before each message; `message` is `undefined` for one that is
 *   sent from a stream. It returns the reserved bits of the message's first frame, of
 *   those that were claimed; 0: the message goes out as it is and `push` is not called.
 * - `push` transforms the next bytes of the message and returns what there is to send
 *   so far, perhaps nothing; `last` ends the message. The result is the caller's to
 *   keep and change; `bytes` stays the caller's, and is overwritten: never return it.
 * - `sliceSize`: the most bytes to push at once, such that one call takes well under 5
 *   ms. A larger message is sent in fragments with a turn of the event loop in between,
 *   and so are many smaller ones that come to as much.
 * - `shareKey`: encoders with the same key make the same of a whole message, whatever went
 *   before, so that a message prepared for many is encoded once for all of them.
 *   `undefined`: what this one makes depends on its state.
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
 * - `begin` starts a message whose first frame carried `rsv`, of the claimed bits; it is
 *   not called for a message without any of them.
 * - `push` gives the next bytes of the message, at most 16 KiB, which stay valid until
 *   `next` returned `undefined`; `last` ends the message.
 * - `next` does a bounded step of the work (well under 5 ms, a few MiB of output at
 *   most) and returns its output, perhaps empty, which the limits of a message count;
 *   `undefined` once all that was pushed is worked off; a {@link DecodeFailure} where
 *   the bytes are not what they should be.
 *   The output is given away.
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
 * What a {@link Decoder} found wrong; the connection is closed with 1007.
 *
 * @category models
 * @since 0.1.0
 */
export interface DecodeFailure {
  readonly detail: string
}
