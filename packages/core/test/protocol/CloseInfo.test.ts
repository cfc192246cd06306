import { assert, describe, it } from "@effect/vitest"
import { closeInfoOf } from "../../src/protocol/CloseInfo.ts"
import { type Ending, violation } from "../../src/protocol/Ending.ts"

const close = (code: number, reason: string): Ending => ({ _tag: "Close", code, reason })
const sent = { code: 1000, reason: "ours" }
const received = { code: 1001, reason: "theirs" }

describe("CloseInfo", () => {
  it("is 1006 where nobody closed, by the peer", () => {
    const nothing = { code: 1006, reason: "", initiator: "remote", clean: false } as const
    assert.deepStrictEqual(closeInfoOf(undefined, undefined, false), nothing)
    assert.deepStrictEqual(closeInfoOf(violation("MaskMissing"), undefined, true), nothing)
  })

  it("has the code and the reason of who was first, and is clean where both closed", () => {
    const both = { clean: true, sent, received } as const
    const theirs = close(1001, "theirs")
    assert.deepStrictEqual(closeInfoOf(theirs, sent, true), { ...received, initiator: "remote", ...both })
    assert.deepStrictEqual(closeInfoOf(theirs, sent, false), { ...sent, initiator: "local", ...both })
  })

  it("has what is known where one side closed", () => {
    assert.deepStrictEqual(closeInfoOf(undefined, sent, false), { ...sent, initiator: "local", clean: false, sent })
    assert.deepStrictEqual(closeInfoOf(close(1001, "theirs"), undefined, true), { ...received, initiator: "remote", clean: false, received })
    assert.deepStrictEqual(closeInfoOf(close(1001, "theirs"), undefined, false), { ...received, initiator: "remote", clean: false, received })
  })

  it("a broken rule is answered by this side, although the peer caused it", () => {
    const answer = { code: 1002, reason: "MaskMissing" }
    assert.deepStrictEqual(closeInfoOf(violation("MaskMissing"), answer, true), { ...answer, initiator: "local", clean: false, sent: answer })
  })
})
