import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Limits from "../../src/Limits.ts"
import * as Opcode from "../../src/Opcode.ts"
import * as Protocol from "../../src/Protocol.ts"
import { ControlBudget } from "../../src/protocol/ControlBudget.ts"
import { concat, frame } from "../support/FakeTransport.ts"

const limits = Limits.make({ controlFrames: { max: 3, interval: "10 seconds" } })

const make = (options: Limits.Options = { controlFrames: { max: 3 } }) => {
  const clock = { now: 0 }
  const pings: Array<string> = []
  const protocol = Protocol.make({
    role: "server",
    limits: options,
    clock: { now: () => clock.now },
    onPing: (payload) => pings.push(new TextDecoder().decode(payload))
  })
  const ping = (payload = "") => protocol.receive(frame(Opcode.Ping, payload, { masked: true }))
  const pong = (payload = "") => protocol.receive(frame(Opcode.Pong, payload, { masked: true }))
  const rule = () => protocol.ending?._tag === "Violation" ? protocol.ending.error.rule : undefined
  return { clock, protocol, ping, pong, rule, pings }
}

describe("ControlBudget", () => {
  it("a flood of pings breaks the connection with 1008 (RFC 6455 §10.4)", () => {
    const { clock, ping, pings, protocol, rule } = make()
    ping("1")
    clock.now = 5000
    ping("2")
    clock.now = 9999
    ping("3")
    assert.isUndefined(rule())
    ping("4")
    assert.strictEqual(rule(), "TooManyControlFrames")
    assert.deepInclude(protocol.ending, { _tag: "Violation" })
    assert.deepStrictEqual(pings, ["1", "2", "3"], "the one too many is not shown")
    protocol.settle()
    assert.strictEqual(protocol.sentClose?.code, 1008)
  })

  it("by default at 1,000 within 10 seconds, whatever lies between", () => {
    const { clock, ping, pong, protocol, rule } = make({})
    protocol.receive(frame(Opcode.Text, "hello", { masked: true }))
    for (let i = 0; i < 500; i++) {
      ping()
      pong()
    }
    assert.isUndefined(rule())
    clock.now = 10_000
    for (let i = 0; i < 1000; i++) ping()
    assert.isUndefined(rule())
    clock.now = 19_999
    pong()
    assert.strictEqual(rule(), "TooManyControlFrames")
    assert.deepStrictEqual(protocol.takeMessages(), ["hello"], "what came before is kept")
  })

  it("many in one chunk, and the rest of the chunk is not read", () => {
    const { protocol, pings } = make()
    const chunk = concat(Array.from({ length: 100 }, () => frame(Opcode.Ping, "x", { masked: true })))
    assert.strictEqual(protocol.receive(chunk), chunk.length)
    assert.strictEqual(pings.length, 3)
    assert.strictEqual(protocol.takeOutput().reduce((sum, part) => sum + part.length, 0), 3 * 3)
  })

  it("inside a fragmented message as well", () => {
    const { ping, protocol, rule } = make()
    protocol.receive(frame(Opcode.Text, "begun", { masked: true, fin: false }))
    for (let i = 0; i < 4; i++) ping()
    assert.strictEqual(rule(), "TooManyControlFrames")
    assert.deepStrictEqual(protocol.messages, [])
  })

  it("a flood of unsolicited pongs counts, the answers to our own pings do not", () => {
    const { pong, protocol, rule } = make()
    for (let i = 0; i < 100; i++) {
      protocol.ping(Uint8Array.of(i))
      pong()
    }
    assert.isUndefined(rule())
    for (let i = 0; i < 3; i++) pong()
    assert.isUndefined(rule())
    pong()
    assert.strictEqual(rule(), "TooManyControlFrames")
  })

  it("a peer that leaves pings unanswered saves up no more than one window of pongs", () => {
    const { pong, protocol, rule } = make()
    for (let i = 0; i < 100; i++) protocol.ping(Uint8Array.of(i))
    for (let i = 0; i < 6; i++) pong()
    assert.isUndefined(rule())
    pong()
    assert.strictEqual(rule(), "TooManyControlFrames")
  })

  it("holds a client's peer to it too, and counts on after our Close", () => {
    const protocol = Protocol.make({ role: "client", limits: { controlFrames: { max: 2 } }, clock: { now: () => 0 } })
    protocol.close(1000)
    for (let i = 0; i < 3; i++) protocol.receive(frame(Opcode.Ping, ""))
    assert.strictEqual(protocol.ending?._tag, "Violation")
  })

  it("Infinity turns it off, and without a clock nothing is counted", () => {
    const off = make({ controlFrames: { max: Infinity } })
    for (let i = 0; i < 5000; i++) off.ping()
    assert.isUndefined(off.rule())
    const protocol = Protocol.make({ role: "client", limits: { controlFrames: { max: 2 } } })
    for (let i = 0; i < 5000; i++) protocol.receive(frame(Opcode.Pong, ""))
    assert.isUndefined(protocol.ending)
  })

  it("0 allows none", () => {
    const { ping, rule } = make({ controlFrames: { max: 0 } })
    ping()
    assert.strictEqual(rule(), "TooManyControlFrames")
  })

  it("asks for the time once in a window, not for each frame", () => {
    let asked = 0
    const budget = new ControlBudget(Limits.make({}), "server", { now: () => ++asked * 20_000 })
    for (let i = 0; i < 10_000; i++) assert.isTrue(budget.admitsPing(0))
    assert.strictEqual(asked, 10)
  })

  it("counts the bytes of Pings and Pongs as they stand on the wire", () => {
    for (const role of ["client", "server"] as const) {
      const protocol = Protocol.make({ role })
      const frames = [frame(Opcode.Ping, "ab", { masked: role === "server" }), frame(Opcode.Pong, "", { masked: role === "server" })]
      for (const one of frames) protocol.receive(one)
      protocol.ping(new Uint8Array(3))
      protocol.pong(new Uint8Array(4))
      const sent = protocol.takeOutput().reduce((sum, part) => sum + part.length, 0)
      assert.strictEqual(protocol.controls.received, concat(frames).length)
      assert.strictEqual(protocol.outbound.controlBytes, sent)
      // A Pong that takes the place of another is one on the wire.
      protocol.outbound.blocked = true
      for (let i = 0; i < 5; i++) protocol.receive(frame(Opcode.Ping, "x".repeat(i), { masked: role === "server" }))
      const blocked = protocol.takeOutput().reduce((sum, part) => sum + part.length, 0)
      assert.strictEqual(protocol.outbound.controlBytes, sent + blocked)
    }
  })

  it.effect.prop("never admits more than the limit in a window that begins with a frame", {
    waits: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4000 }))), {
      minLength: 1,
      maxLength: 60
    })
  }, ({ waits }) =>
    Effect.sync(() => {
      let now = 0
      const budget = new ControlBudget(limits, "client", { now: () => now })
      const admitted: Array<number> = []
      for (const wait of waits) {
        now += wait
        if (!budget.admitsPing(0)) {
          // Refused only where as many came within the interval.
          assert.isAtLeast(admitted.filter((at) => now - at < 10_000).length, 3)
          break
        }
        admitted.push(now)
      }
      for (const at of admitted) {
        assert.isAtMost(admitted.filter((other) => other >= at && other - at < 10_000).length, 6)
      }
    }))
})
