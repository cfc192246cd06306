import { assert, describe, it } from "@effect/vitest"
import * as Limits from "../../src/Limits.ts"
import type { Message } from "../../src/Message.ts"
import { prepare } from "../../src/Message.ts"
import { MessageProtocol } from "../../src/protocol/MessageProtocol.ts"

const setup = (options: Limits.Options = {}, isBounded = true) => {
  const out: Array<Message> = []
  const closes: Array<readonly [number, string]> = []
  const output = {
    takes: true,
    bufferedBytes: 0,
    // What a browser sends for codes that it does not allow.
    closesWith: undefined as number | undefined,
    sendOut: (message: Message) => {
      if (output.takes) out.push(message)
      return output.takes
    },
    closeOut: (code: number, reason: string) => {
      closes.push([code, reason])
      return output.closesWith ?? code
    }
  }
  return { closes, out, output, protocol: new MessageProtocol("client", Limits.make(options), output, isBounded) }
}

const ruleOf = ({ ending }: MessageProtocol) => ending?._tag === "Violation" ? ending.error.rule : ending?._tag

describe("MessageProtocol", () => {
  it("delivers messages in order, and weighs those that wait", () => {
    const { protocol } = setup()
    protocol.receive("text", 4)
    protocol.receive(Uint8Array.of(1, 2), 2)
    protocol.receive("", 0)
    assert.deepStrictEqual(protocol.messages, ["text", Uint8Array.of(1, 2), ""])
    assert.strictEqual(protocol.inbound.queuedBytes, 6 + 3 * 64)
    assert.strictEqual(protocol.takeMessage(), "text")
    assert.deepStrictEqual(protocol.takeMessages(), [Uint8Array.of(1, 2), ""])
    assert.deepStrictEqual([protocol.inbound.queuedBytes, protocol.inbound.receivedMessages], [0, 3])
    assert.isUndefined(protocol.ending)
  })

  it("refuses a message above the limit, by its bytes", () => {
    const { closes, protocol } = setup({ maxMessageSize: 10 })
    protocol.receive("0123456789", 10)
    assert.isUndefined(protocol.ending)
    protocol.receive("\u20ac\u20ac\u20ac\u20ac", 12)
    assert.strictEqual(ruleOf(protocol), "MessageTooBig")
    protocol.receive("later", 5)
    protocol.receive("later and too long", 18)
    protocol.receiveClose(1000, "")
    assert.strictEqual(ruleOf(protocol), "MessageTooBig", "the first is what counts")
    assert.deepStrictEqual(protocol.takeMessages(), ["0123456789"])
    assert.deepStrictEqual(closes, [])
  })

  it("refuses what waits above the limit where the peer cannot be held back, and never a single message", () => {
    const messages = [60, 40, 1]
    for (const isBounded of [true, false]) {
      const { protocol } = setup({ maxUnread: 200 }, isBounded)
      for (const size of messages) protocol.receive(new Uint8Array(size), size)
      // 60 and 40 bytes, and 64 for each of the two.
      assert.strictEqual(ruleOf(protocol), isBounded ? undefined : "TooMuchUnread")
      assert.strictEqual(protocol.takeMessages().length, isBounded ? 3 : 2)
    }
    const exact = setup({ maxUnread: 200 }, false).protocol
    exact.receive(new Uint8Array(500), 500)
    assert.isUndefined(exact.ending, "nothing else waits")
    exact.takeMessages()
    exact.receive(new Uint8Array(36), 36)
    exact.receive(new Uint8Array(100), 100)
    assert.isUndefined(exact.ending, "exactly the limit")
  })

  it("sends messages, and tells where the platform did not take one", () => {
    const { out, output, protocol } = setup()
    assert.isTrue(protocol.send("text"))
    assert.isTrue(protocol.send(Uint8Array.of(1)))
    output.takes = false
    assert.isFalse(protocol.send("more"))
    assert.deepStrictEqual(out, ["text", Uint8Array.of(1)])
    assert.strictEqual(protocol.outbound.sentMessages, 2)
    assert.throws(() => protocol.send(new Uint16Array(2) as unknown as Uint8Array), TypeError)
  })

  it("sends a run of messages while there is room, and leaves what is no plain message", () => {
    const { out, output, protocol } = setup()
    assert.strictEqual(protocol.sendRun(["a", "b"], 0, Infinity), 2)
    assert.strictEqual(protocol.sendRun(["a", "b", "c"], 1, 1), 2, "one fits")
    assert.strictEqual(protocol.sendRun(["a", Uint8Array.of(1, 2), "c"], 0, 3), 2)
    output.bufferedBytes = 10
    assert.strictEqual(protocol.sendRun(["d"], 0, 10), 0, "what the platform holds counts")
    assert.strictEqual(protocol.sendRun(["d"], 0, 11), 1)
    assert.strictEqual(protocol.sendRun(["e", prepare("f"), "g"], 0, Infinity), 1)
    output.takes = false
    assert.strictEqual(protocol.sendRun(["h"], 0, Infinity), 0)
    assert.deepStrictEqual(out, ["a", "b", "b", "a", Uint8Array.of(1, 2), "d", "e"])
    assert.strictEqual(protocol.outbound.sentMessages, 7)
  })

  it("closes once, and sends and reads nothing afterwards", () => {
    const { closes, out, protocol } = setup()
    assert.deepStrictEqual([protocol.isOpen, protocol.role], [true, "client"])
    protocol.close(1000, "bye")
    protocol.close(1001)
    assert.isFalse(protocol.isOpen)
    assert.isFalse(protocol.send("after"))
    protocol.receive("after", 5)
    assert.deepStrictEqual([out, protocol.takeMessages(), closes], [[], [], [[1000, "bye"]]])
    protocol.receiveClose(1000, "bye too")
    assert.deepStrictEqual(protocol.closeInfo, {
      code: 1000, reason: "bye", initiator: "local", clean: true,
      sent: { code: 1000, reason: "bye" }, received: { code: 1000, reason: "bye too" }
    })
  })

  it("tells which code went out, where the platform has no other", () => {
    const { closes, output, protocol } = setup()
    output.closesWith = 3000
    protocol.close(1011, "fault")
    assert.deepStrictEqual(closes, [[1011, "fault"]])
    assert.deepStrictEqual(protocol.sentClose, { code: 3000, reason: "fault" })
    const empty = setup()
    empty.protocol.close()
    assert.deepStrictEqual([empty.closes, empty.protocol.sentClose], [[[1005, ""]], { code: 1005, reason: "" }])
  })

  it("the peer's Close was answered by the platform, after all messages", () => {
    const { closes, protocol } = setup()
    protocol.receive("last", 4)
    protocol.receiveClose(1001, "away")
    protocol.receive("after", 5)
    protocol.settle()
    assert.deepStrictEqual(protocol.takeMessages(), ["last"])
    assert.deepStrictEqual(closes, [])
    assert.deepStrictEqual(protocol.closeInfo, {
      code: 1001, reason: "away", initiator: "remote", clean: true,
      sent: { code: 1001, reason: "" }, received: { code: 1001, reason: "away" }
    })
    protocol.receiveClose(1002, "again")
    assert.strictEqual(protocol.closeInfo.code, 1001)
  })

  it("a broken rule is answered once the reader has reached it", () => {
    const { closes, protocol } = setup({ maxMessageSize: 10 })
    protocol.settle()
    assert.deepStrictEqual(closes, [])
    protocol.receive("more than ten", 13)
    assert.isTrue(protocol.isOpen)
    protocol.settle()
    assert.deepStrictEqual(closes, [[1009, "MessageTooBig"]])
    assert.deepStrictEqual([protocol.closeInfo.code, protocol.closeInfo.initiator, protocol.closeInfo.clean], [1009, "local", false])
    const late = setup({ maxMessageSize: 10 }).protocol
    late.close(1000)
    late.receive("more than ten", 13)
    assert.deepStrictEqual([late.closeInfo.code, late.closeInfo.initiator], [1000, "local"])
  })
})
