import { assert, describe, it } from "@effect/vitest"
import { Hearing } from "../../../src/realtime/redis/Hearing.ts"

/** Subscribed where the shard stood at 10. */
const at10 = () => {
  const hearing = new Hearing()
  hearing.restart()
  assert.strictEqual(hearing.answered("1.a", 10), "complete")
  return hearing
}

describe("Hearing", () => {
  it("misses nothing of messages that follow each other", () => {
    const hearing = at10()
    for (const seq of [11, 12, 13]) assert.strictEqual(hearing.heard("1.a", seq), "complete")
    assert.deepStrictEqual([hearing.knownEpoch, hearing.knownSeq], ["1.a", 13])
  })

  it("takes messages from before the subscription's answer for what they are", () => {
    const hearing = at10()
    for (const seq of [9, 10, 11]) assert.strictEqual(hearing.heard("1.a", seq), "complete")
  })

  it("begins where the first message is, if that comes before any answer", () => {
    const hearing = new Hearing()
    assert.strictEqual(hearing.heard("1.a", 5), "complete")
    assert.strictEqual(hearing.answered("1.a", 5), "complete")
    assert.strictEqual(hearing.heard("1.a", 6), "complete")
    assert.strictEqual(hearing.heard("1.a", 8), "missed")
  })

  it("notices a message that did not come by the next one, once", () => {
    const hearing = at10()
    assert.strictEqual(hearing.heard("1.a", 12), "missed")
    assert.strictEqual(hearing.heard("1.a", 13), "complete")
    assert.strictEqual(hearing.heard("1.a", 15), "missed")
  })

  it("notices the last message before a silence, which no other one follows", () => {
    const hearing = at10()
    assert.strictEqual(hearing.compared("1.a", 10), "complete")
    // 11 was told, and may still come.
    assert.strictEqual(hearing.compared("1.a", 11), "complete")
    assert.strictEqual(hearing.compared("1.a", 12), "missed")
    assert.strictEqual(hearing.heard("1.a", 12), "complete")
    assert.strictEqual(hearing.compared("1.a", 12), "complete")
    assert.strictEqual(hearing.compared("1.a", 12), "complete")
  })

  it("does not take a message that is late for one that was lost", () => {
    const hearing = at10()
    hearing.compared("1.a", 12)
    assert.strictEqual(hearing.compared("1.a", 12), "missed")
    assert.strictEqual(hearing.heard("1.a", 11), "complete")
    assert.strictEqual(hearing.heard("1.a", 12), "complete")
    assert.strictEqual(hearing.heard("1.a", 13), "complete")
  })

  it("notices that Redis counts anew what it had counted", () => {
    const hearing = at10()
    hearing.heard("1.a", 11)
    assert.strictEqual(hearing.heard("1.a", 11), "lost")
    assert.strictEqual(hearing.heard("1.a", 5), "lost")
    // What is known stays, so that the scripts find it out.
    assert.strictEqual(hearing.knownSeq, 11)
  })

  it("takes another epoch for a loss that Redis knows of", () => {
    const byMessage = at10()
    assert.strictEqual(byMessage.heard("2.b", 3), "missed")
    assert.strictEqual(byMessage.heard("2.b", 4), "complete")
    assert.deepStrictEqual([byMessage.knownEpoch, byMessage.knownSeq], ["2.b", 4])
    const byAnswer = at10()
    assert.strictEqual(byAnswer.answered("2.b", 3), "missed")
    assert.strictEqual(byAnswer.heard("2.b", 3), "complete")
    assert.strictEqual(byAnswer.heard("2.b", 4), "complete")
    const compared = at10()
    assert.strictEqual(compared.compared("2.b", 3), "missed")
    assert.strictEqual(compared.compared("2.b", 3), "complete")
    // Two processes may find another name for the same loss.
    assert.strictEqual(compared.heard("2.c", 4), "missed")
  })

  it("takes an earlier epoch for one that Redis has forgotten to have left", () => {
    const hearing = at10()
    hearing.answered("2.b", 12)
    assert.strictEqual(hearing.heard("1.a", 11), "lost")
    // An answer that was under way.
    assert.strictEqual(hearing.answered("1.a", 11), "complete")
    assert.deepStrictEqual([hearing.knownEpoch, hearing.knownSeq], ["2.b", 12])
  })

  it("knows nothing of what another subscription hears, but keeps what is known", () => {
    const hearing = at10()
    hearing.heard("1.a", 11)
    hearing.restart()
    assert.strictEqual(hearing.answered("1.a", 20), "complete")
    assert.strictEqual(hearing.heard("1.a", 21), "complete")
    assert.strictEqual(hearing.knownSeq, 21)
  })
})
