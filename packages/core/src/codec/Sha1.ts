/**
 * SHA-1 (FIPS 180-4), synchronous and total, for `Sec-WebSocket-Accept` (RFC 6455
 * §4.2.2) alone: WebCrypto's is asynchronous, which would make the handshake an
 * effect. It proves that a peer speaks WebSocket and protects nothing.
 *
 * @internal
 */

const rotateLeft = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

/**
 * The 20 bytes of the digest.
 *
 * @internal
 */
export const sha1 = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
  // §5.1.1: a 1 bit, zeros, and the length in bits, to a multiple of 64 bytes.
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 0x20000000))
  view.setUint32(padded.length - 4, bytes.length << 3)

  let h0 = 0x67452301
  let h1 = 0xefcdab89
  let h2 = 0x98badcfe
  let h3 = 0x10325476
  let h4 = 0xc3d2e1f0
  const w = new Int32Array(80)
  for (let block = 0; block < padded.length; block += 64) {
    for (let t = 0; t < 16; t++) w[t] = view.getInt32(block + t * 4)
    for (let t = 16; t < 80; t++) w[t] = rotateLeft(w[t - 3]! ^ w[t - 8]! ^ w[t - 14]! ^ w[t - 16]!, 1)
    let a = h0
    let b = h1
    let c = h2
    let d = h3
    let e = h4
    for (let t = 0; t < 80; t++) {
      // §4.1.1 and §4.2.1: the function and constant of the round.
      const f = t < 20
        ? ((b & c) ^ (~b & d)) + 0x5a827999
        : t < 40
        ? (b ^ c ^ d) + 0x6ed9eba1
        : t < 60
        ? ((b & c) ^ (b & d) ^ (c & d)) + 0x8f1bbcdc
        : (b ^ c ^ d) + 0xca62c1d6
      const next = (rotateLeft(a, 5) + f + e + w[t]!) | 0
      e = d
      d = c
      c = rotateLeft(b, 30)
      b = a
      a = next
    }
    h0 = (h0 + a) | 0
    h1 = (h1 + b) | 0
    h2 = (h2 + c) | 0
    h3 = (h3 + d) | 0
    h4 = (h4 + e) | 0
  }

  const digest = new Uint8Array(20)
  const out = new DataView(digest.buffer)
  out.setInt32(0, h0)
  out.setInt32(4, h1)
  out.setInt32(8, h2)
  out.setInt32(12, h3)
  out.setInt32(16, h4)
  return digest
}
