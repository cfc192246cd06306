import { assert, describe, it } from "@effect/vitest"
import * as Digest from "effect/crypto/Digest"
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { sha1 } from "../../src/codec/Sha1.ts"

const hex = (text: string): string => Hex.encode(sha1(new TextEncoder().encode(text)))

describe("Sha1", () => {
  it("gives the digests of FIPS 180 and RFC 3174", () => {
    assert.strictEqual(hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709")
    assert.strictEqual(hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d")
    assert.strictEqual(
      hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
      "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
    )
    assert.strictEqual(hex("a".repeat(1_000_000)), "34aa973cd4c4daa4f61eeb2bdbad27316534016f")
    assert.strictEqual(hex("01234567".repeat(80)), "dea356a2cddd90c7a7ecedc5ebb563934f460452")
  })

  it("gives the Accept of RFC 6455 §1.3", () => {
    const key = "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    assert.strictEqual(Base64.encode(sha1(new TextEncoder().encode(key))), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  })

  it.effect("agrees with WebCrypto at every length around the padding", () =>
    Effect.promise(async () => {
      for (let size = 0; size < 200; size++) {
        const bytes = crypto.getRandomValues(new Uint8Array(size))
        assert.deepStrictEqual(sha1(bytes), new Uint8Array(await crypto.subtle.digest("SHA-1", bytes)), `${size}`)
      }
    }))

  it.effect.prop("agrees with Effect's Digest", { bytes: Schema.Uint8Array }, ({ bytes }) =>
    Effect.gen(function*() {
      const { digest } = yield* Digest.Digest
      assert.deepStrictEqual(sha1(bytes), yield* digest(Digest.sha1, bytes))
    }).pipe(Effect.provide(Digest.layerWebCrypto)))
})
