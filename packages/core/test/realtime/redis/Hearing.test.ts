import { assert, describe, it } from "@effect/vitest"
import { Hearing, type Proof } from "../../../src/realtime/redis/Hearing.ts"

/** Subscribed where the shard stood at 10. */
const at10 = () => {
  const hearing = new Hearing()
  hearing.restart()
  assert.strictEqual(hearing.answered("1.a", 10, "1.m", hearing.proof), "complete")
  return hearing
}

describe("Hearing", () => {
  it("misses nothing of messages that follow each other", () => {
    const hearing = at10()
    for (const seq of [11, 12, 13]) assert.strictEqual(hearing.heard("1.a", seq, "1.m"), "complete")
    assert.deepStrictEqual([hearing.knownEpoch, hearing.knownSeq], ["1.a", 13])
  })

  it("takes messages from before the subscription's answer for what they are", () => {
    const hearing = at10()
    for (const seq of [9, 10, 11]) assert.strictEqual(hearing.heard("1.a", seq, "1.m"), "complete")
  })

  it("begins where the first message is, if that comes before any answer", () => {
    const hearing = new Hearing()
    assert.strictEqual(hearing.heard("1.a", 5, "1.m"), "complete")
    assert.strictEqual(hearing.answered("1.a", 5, "1.m", hearing.proof), "complete")
    assert.strictEqual(hearing.heard("1.a", 6, "1.m"), "complete")
    assert.strictEqual(hearing.heard("1.a", 8, "1.m"), "missed")
  })

  it("notices a message that did not come by the next one, once", () => {
    const hearing = at10()
    assert.strictEqual(hearing.heard("1.a", 12, "1.m"), "missed")
    assert.strictEqual(hearing.heard("1.a", 13, "1.m"), "complete")
    assert.strictEqual(hearing.heard("1.a", 15, "1.m"), "missed")
  })

  it("notices the last message before a silence, which no other one follows", () => {
    const hearing = at10()
    assert.strictEqual(hearing.compared("1.a", 10), "complete")
    // 11 was told, and may still come.
    assert.strictEqual(hearing.compared("1.a", 11), "complete")
    assert.strictEqual(hearing.compared("1.a", 12), "missed")
    assert.strictEqual(hearing.heard("1.a", 12, "1.m"), "complete")
    assert.strictEqual(hearing.compared("1.a", 12), "complete")
    assert.strictEqual(hearing.compared("1.a", 12), "complete")
  })

  it("does not take a message that is late for one that was lost", () => {
    const hearing = at10()
    hearing.compared("1.a", 12)
    assert.strictEqual(hearing.compared("1.a", 12), "missed")
    assert.strictEqual(hearing.heard("1.a", 11, "1.m"), "complete")
    assert.strictEqual(hearing.heard("1.a", 12, "1.m"), "complete")
    assert.strictEqual(hearing.heard("1.a", 13, "1.m"), "complete")
  })

  it("notices that Redis counts anew what it had counted", () => {
    const hearing = at10()
    hearing.heard("1.a", 11, "1.m")
    assert.strictEqual(hearing.heard("1.a", 11, "1.m"), "lost")
    assert.strictEqual(hearing.heard("1.a", 5, "1.m"), "lost")
    // What is known stays, so that the scripts find it out.
    assert.strictEqual(hearing.knownSeq, 11)
  })

  it("takes another epoch for a loss that Redis knows of", () => {
    const byMessage = at10()
    assert.strictEqual(byMessage.heard("2.b", 3, "1.m"), "missed")
    assert.strictEqual(byMessage.heard("2.b", 4, "1.m"), "complete")
    assert.deepStrictEqual([byMessage.knownEpoch, byMessage.knownSeq], ["2.b", 4])
    const byAnswer = at10()
    assert.strictEqual(byAnswer.answered("2.b", 3, "1.m", byAnswer.proof), "missed")
    assert.strictEqual(byAnswer.heard("2.b", 3, "1.m"), "complete")
    assert.strictEqual(byAnswer.heard("2.b", 4, "1.m"), "complete")
    const compared = at10()
    assert.strictEqual(compared.compared("2.b", 3), "missed")
    assert.strictEqual(compared.compared("2.b", 3), "complete")
    // Two processes may find another name for the same loss.
    assert.strictEqual(compared.heard("2.c", 4, "1.m"), "missed")
  })

  it("takes an earlier epoch for one that Redis has forgotten to have left", () => {
    const hearing = at10()
    hearing.answered("2.b", 12, "1.m", hearing.proof)
    assert.strictEqual(hearing.heard("1.a", 11, "1.m"), "lost")
    // An answer that was under way.
    assert.strictEqual(hearing.answered("1.a", 11, "1.m", hearing.proof), "complete")
    assert.deepStrictEqual([hearing.knownEpoch, hearing.knownSeq], ["2.b", 12])
  })

  it("knows nothing of what another subscription hears, but keeps what is known", () => {
    const hearing = at10()
    hearing.heard("1.a", 11, "1.m")
    hearing.restart()
    assert.strictEqual(hearing.answered("1.a", 20, "1.m", hearing.proof), "complete")
    assert.strictEqual(hearing.heard("1.a", 21, "1.m"), "complete")
    assert.strictEqual(hearing.knownSeq, 21)
  })

  it("has proof of messages that follow each other, also where the mark changes", () => {
    const hearing = at10()
    assert.strictEqual(hearing.heard("1.a", 11, "1.m"), "complete")
    assert.strictEqual(hearing.heard("1.a", 12, "2.n", "1.m"), "complete")
    assert.deepStrictEqual<Proof>(hearing.proof, { seq: 12, mark: "2.n" })
    // What is missing between two messages of one mark is missed, but both are of one history.
    assert.strictEqual(hearing.heard("1.a", 14, "2.n"), "missed")
    assert.deepStrictEqual<Proof>(hearing.proof, { seq: 14, mark: "2.n" })
  })

  it("notices a message that follows by its number alone, and keeps its proof until an answer clears it up", () => {
    for (const [seq, mark, before] of [[11, "2.n", "1.x"], [11, "2.n", undefined], [13, "3.n", "1.m"]] as const) {
      const hearing = at10()
      const { proof } = hearing
      assert.strictEqual(hearing.heard("1.a", seq, mark, before), "missed")
      assert.strictEqual(hearing.heard("1.a", seq + 1, mark), "complete")
      assert.strictEqual(hearing.proof, proof)
      assert.strictEqual(hearing.answered("1.a", seq + 1, mark, proof), "complete")
      assert.deepStrictEqual<Proof>(hearing.proof, { seq: seq + 1, mark })
      assert.strictEqual(hearing.heard("1.a", seq + 2, mark), "complete")
      assert.strictEqual(hearing.heard("1.a", seq + 3, "9.z", "8.y"), "missed")
    }
  })

  it("takes no answer for a proof whose script compared something else", () => {
    const hearing = at10()
    const before = hearing.proof
    hearing.heard("1.a", 11, "1.m")
    assert.strictEqual(hearing.answered("1.a", 15, "5.n", before), "complete")
    assert.deepStrictEqual<Proof>(hearing.proof, { seq: 11, mark: "1.m" })
    // Messages that are late change nothing.
    hearing.answered("1.a", 15, "5.n", hearing.proof)
    assert.strictEqual(hearing.heard("1.a", 12, "4.k", "1.m"), "complete")
    assert.deepStrictEqual<Proof>(hearing.proof, { seq: 15, mark: "5.n" })
  })
})
