/**
 * The nonce of a client and what proves that the server read it (RFC 6455 §1.3, §4.2.2).
 */
import * as Base64 from "effect/encoding/Base64"
import { sha1 } from "../codec/Sha1.ts"
import type { Primitives } from "../Primitives.ts"

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const isBase64Code = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) ||
  code === 0x2b || code === 0x2f

/**
 * Whether a key is base64 that decodes to exactly 16 bytes: 22 characters of the
 * alphabet and the padding. The last character has four bits to spare, which RFC 4648
 * §3.5 lets a decoder ignore; so do we, since the key is never decoded.
 */
export const isKey = (key: string): boolean => {
  if (key.length !== 24 || !key.endsWith("==")) return false
  for (let i = 0; i < 22; i++) {
    if (!isBase64Code(key.charCodeAt(i))) return false
  }
  return true
}

/** A key of 16 bytes. */
export const makeKey = (bytes: Uint8Array): string => Base64.encode(bytes)

const encoder = new TextEncoder()

/**
 * The value of `Sec-WebSocket-Accept` for a key, which is taken as it was sent. A
 * platform's `sha1` of a text, in base64, is 8 times as fast as the portable one.
 *
 * **Example** (The example of RFC 6455 §1.3)
 *
 * ```ts
 * import { Handshake } from "@effect-ws/core"
 *
 * console.log(Handshake.acceptKey("dGhlIHNhbXBsZSBub25jZQ==")) // s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const acceptKey = (key: string, platform?: Primitives["sha1"] | undefined): string =>
  platform === undefined ? Base64.encode(sha1(encoder.encode(key + guid))) : platform(key + guid)
