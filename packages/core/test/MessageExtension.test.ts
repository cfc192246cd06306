import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { MessageExtension, Transform } from "../src/MessageExtension.ts"

// An extension as a user would write it; the documentation of MessageExtension has it too.
// Every message is masked with a key that the server chose. It claims RSV2.
const rsv2 = 2

const openXor = (key: number): Transform => {
  const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ key)
  let pushed: Uint8Array | undefined
  return {
    name: "x-xor",
    rsv: rsv2,
    encoder: { sliceSize: 1024 * 1024, begin: () => rsv2, push: (bytes) => flip(bytes) },
    decoder: {
      begin: () => {},
      push: (bytes) => {
        pushed = bytes
      },
      next: () => {
        const flipped = pushed === undefined ? undefined : flip(pushed)
        pushed = undefined
        return flipped
      }
    },
    close: () => {}
  }
}

const keyOf = (value: string | undefined): number | undefined => {
  const key = Number(value)
  return Number.isInteger(key) && key > 0 && key < 256 ? key : undefined
}

const xor = (key: number): MessageExtension => ({
  name: "x-xor",
  offers: [[]],
  agree: ({ params }) => {
    const agreed = params.length === 1 && params[0]?.name === "key" ? keyOf(params[0].value) : undefined
    return agreed === undefined ? Result.fail("key is missing") : Result.succeed({ open: () => openXor(agreed) })
  },
  answer: ({ params }) =>
    params.length > 0
      ? undefined
      : { params: [{ name: "key", value: String(key) }], open: () => openXor(key) }
})

const collect = (transform: Transform, bytes: Uint8Array): Array<number> => {
  transform.decoder.begin(rsv2)
  transform.decoder.push(bytes, true)
  const out: Array<number> = []
  for (;;) {
    const step = transform.decoder.next()
    if (step === undefined) return out
    assert.instanceOf(step, Uint8Array)
    out.push(...step as Uint8Array)
  }
}

describe("MessageExtension, one of a user's own", () => {
  it("negotiates, and both sides undo each other", () => {
    const server = xor(77).answer({ name: "x-xor", params: xor(1).offers[0]! })!
    const client = Result.getOrThrow(xor(1).agree({ name: "x-xor", params: server.params }))
    const [near, far] = [client.open(), server.open()]
    const plain = Uint8Array.of(1, 2, 3)
    for (const [from, to] of [[near, far], [far, near]] as const) {
      assert.strictEqual(from.encoder.begin(plain) & ~from.rsv, 0)
      const sent = from.encoder.push(plain, true)
      assert.deepStrictEqual([...sent], [76, 79, 78])
      assert.deepStrictEqual(collect(to, sent), [1, 2, 3])
    }
  })

  it("declines an offer, and refuses an answer, that it does not know", () => {
    assert.isUndefined(xor(77).answer({ name: "x-xor", params: [{ name: "key", value: "1" }] }))
    assert.isTrue(Result.isFailure(xor(1).agree({ name: "x-xor", params: [] })))
  })
})
