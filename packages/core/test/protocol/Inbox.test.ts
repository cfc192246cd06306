import { assert, describe, it } from "@effect/vitest"
import type { Message } from "../../src/Message.ts"
import { Inbox } from "../../src/protocol/Inbox.ts"

class Filled extends Inbox {
  override deliver(message: Message): void {
    super.deliver(message)
  }
}

describe("Inbox", () => {
  it("keeps messages in order, and weighs each by its length and 64 bytes", () => {
    const inbox = new Filled()
    assert.deepStrictEqual(inbox.messages, [])
    assert.deepStrictEqual(inbox.takeMessages(), [])
    const bytes = new Uint8Array(10)
    inbox.deliver("one")
    assert.strictEqual(inbox.messageBytes, 67)
    inbox.deliver(bytes)
    inbox.deliver("")
    assert.deepStrictEqual(inbox.messages, ["one", bytes, ""])
    assert.strictEqual(inbox.messageBytes, 67 + 74 + 64)
    assert.strictEqual(inbox.receivedMessages, 3)
    assert.strictEqual(inbox.takeMessage(), "one")
    assert.strictEqual(inbox.messageBytes, 74 + 64)
    assert.deepStrictEqual(inbox.takeMessages(), [bytes, ""])
    assert.strictEqual(inbox.messageBytes, 0)
    assert.deepStrictEqual(inbox.messages, [])
    inbox.deliver("last")
    assert.strictEqual(inbox.takeMessage(), "last")
    assert.deepStrictEqual([inbox.messages.length, inbox.messageBytes, inbox.receivedMessages], [0, 0, 4])
  })

  it("shares one empty array among all that have no message, which nobody can change", () => {
    const inbox = new Filled()
    const { messages } = inbox
    assert.strictEqual(new Filled().messages, messages)
    assert.throws(() => messages.push("x"), TypeError)
    assert.notStrictEqual(inbox.takeMessages(), messages, "what is taken belongs to the taker")
    for (const take of [() => inbox.takeMessages(), () => inbox.takeMessage()]) {
      inbox.deliver("one")
      take()
      assert.strictEqual(inbox.messages, messages)
    }
  })

  it("puts messages back in front of those that wait", () => {
    const inbox = new Filled()
    inbox.putBack(["a", "bc"])
    assert.deepStrictEqual([inbox.messages, inbox.messageBytes, inbox.receivedMessages], [["a", "bc"], 131, 0])
    inbox.deliver("d")
    inbox.putBack(["before"])
    assert.deepStrictEqual([inbox.messages, inbox.messageBytes], [["before", "a", "bc", "d"], 131 + 65 + 70])
    const taken = inbox.takeMessages()
    inbox.putBack(taken)
    taken.length = 0
    assert.strictEqual(inbox.messages.length, 4, "it keeps no array of another")
  })
})
