import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Closing, patient, type Step } from "../../src/protocol/Closing.ts"

const patience = { silence: 5, bound: 60 }

/** Asks until nothing is to be done. */
const steps = (machine: Closing, now: number): ReadonlyArray<Step> => {
  const all: Array<Step> = []
  for (let step = machine.next(now); step !== "nothing"; step = machine.next(now)) all.push(step)
  return all
}

describe("Closing", () => {
  it("an open connection has nothing to do and no deadline", () => {
    const machine = new Closing("server", patience)
    assert.strictEqual(machine.due, Infinity)
    assert.deepStrictEqual(steps(machine, 1000), [])
    machine.alive(3)
    machine.written()
    assert.isFalse(machine.isWritten, "no Close was sent")
  })

  it("has nothing to do once the transport was dropped, wherever it stood", () => {
    for (const stand of ["open", "wanted", "sent", "written", "answered"] as const) {
      const machine = new Closing("server", patience)
      if (stand === "wanted") machine.want(0, true)
      else if (stand !== "open") machine.sent(0)
      if (stand === "written" || stand === "answered") machine.written()
      if (stand === "answered") machine.receivedEnding("Close")
      machine.dropped()
      assert.strictEqual(machine.due, Infinity)
      assert.isTrue(machine.hasEnded)
      assert.deepStrictEqual(steps(machine, 1000), [])
    }
  })

  for (const role of ["client", "server"] as const) {
    describe(`a ${role}`, () => {
      const sent = (at = 0) => {
        const machine = new Closing(role, patience)
        machine.sent(at)
        return machine
      }

      it("that was answered: the server ends first, then each drops what the other has ended (§7.1.1)", () => {
        const machine = sent()
        assert.deepStrictEqual(steps(machine, 0), [])
        machine.written()
        machine.receivedEnding("Close")
        assert.deepStrictEqual(steps(machine, 0), role === "server" ? ["end"] : [])
        assert.strictEqual(machine.due, 5)
        machine.peerEnded()
        assert.deepStrictEqual(steps(machine, 1), ["destroy"])
        assert.strictEqual(machine.due, Infinity)
        assert.deepStrictEqual(steps(machine, 100), [])
      })

      it("whose peer broke a rule ends first (§7.1.7)", () => {
        const machine = sent()
        machine.receivedEnding("Violation")
        assert.deepStrictEqual(steps(machine, 0), [], "not before the Close is written")
        machine.written()
        assert.deepStrictEqual(steps(machine, 0), ["end"])
        assert.deepStrictEqual(steps(machine, 4.9), [])
        assert.deepStrictEqual(steps(machine, 5), ["destroy"])
      })

      it("whose peer closed and does not end its stream is not waited for", () => {
        const machine = sent()
        machine.written()
        machine.receivedEnding("Close")
        steps(machine, 0)
        assert.deepStrictEqual(steps(machine, 4), [])
        machine.alive(4)
        assert.deepStrictEqual(steps(machine, 8), [])
        assert.deepStrictEqual(steps(machine, 9), ["destroy"])
      })

      it("whose peer is silent: the handshake has failed, the stream is ended, the rest is read until the bound", () => {
        const machine = sent()
        machine.written()
        assert.strictEqual(machine.due, 5)
        assert.deepStrictEqual(steps(machine, 5), ["unanswered", "end"])
        assert.isTrue(machine.isUnanswered)
        assert.strictEqual(machine.due, 60)
        machine.alive(59)
        assert.deepStrictEqual(steps(machine, 59), [])
        assert.deepStrictEqual(steps(machine, 60), ["destroy"])
      })

      it("and that answers late after all ends in order", () => {
        const machine = sent()
        machine.written()
        steps(machine, 5)
        machine.alive(20)
        machine.receivedEnding("Close")
        assert.strictEqual(machine.due, 25)
        assert.deepStrictEqual(steps(machine, 21), [])
        machine.peerEnded()
        assert.deepStrictEqual(steps(machine, 21), ["destroy"])
      })

      it("whose peer shows signs of life is waited for, up to the bound", () => {
        const machine = sent()
        machine.written()
        for (let now = 4; now < 60; now += 4) {
          machine.alive(now)
          assert.deepStrictEqual(steps(machine, now), [])
        }
        assert.deepStrictEqual(steps(machine, 60), ["destroy"])
      })

      it("whose peer takes nothing: nobody waits for longer than its silence, and closing goes on", () => {
        const machine = sent()
        assert.deepStrictEqual(steps(machine, 4), [])
        assert.deepStrictEqual(steps(machine, 5), ["giveUp"])
        assert.isTrue(machine.isGivenUp)
        assert.strictEqual(machine.due, 60)
        machine.alive(50)
        machine.written()
        assert.deepStrictEqual(steps(machine, 54), [])
        assert.deepStrictEqual(steps(machine, 55), ["unanswered", "end"])
      })

      it("and whose output is never taken is cut at the bound", () => {
        const machine = sent()
        steps(machine, 5)
        assert.deepStrictEqual(steps(machine, 60), ["destroy"])
        assert.isFalse(machine.isWritten)
      })

      it("whose peer sent its Close and its end, and then takes nothing, is not waited for until the bound", () => {
        const machine = sent()
        machine.receivedEnding("Close")
        machine.peerEnded()
        assert.strictEqual(machine.due, 5)
        assert.deepStrictEqual(steps(machine, 4), [])
        machine.alive(4)
        assert.deepStrictEqual(steps(machine, 8), [])
        assert.deepStrictEqual(steps(machine, 9), ["destroy"])

        const late = sent()
        late.receivedEnding("Close")
        assert.deepStrictEqual(steps(late, 5), ["giveUp"])
        late.peerEnded()
        assert.strictEqual(late.due, 5)
        assert.deepStrictEqual(steps(late, 5), ["destroy"])
      })

      it("whose peer ends its stream without a Close still gets what was accepted", () => {
        const machine = sent()
        machine.peerEnded()
        assert.deepStrictEqual(steps(machine, 1), [])
        machine.written()
        assert.deepStrictEqual(steps(machine, 1), ["destroy"])
      })

      it("a call has one deadline, whatever it waits for first", () => {
        const machine = new Closing(role, patience)
        machine.want(0, true)
        assert.strictEqual(machine.due, 5)
        assert.deepStrictEqual(steps(machine, 5), ["force"])
        machine.sent(5)
        machine.written()
        assert.deepStrictEqual(steps(machine, 5), ["unanswered", "end"])
      })

      it("an answer that waits for the reader has its own, and the peer another for its end", () => {
        const machine = new Closing(role, patience)
        machine.receivedEnding("Close")
        machine.want(0, false)
        assert.deepStrictEqual(steps(machine, 5), ["force"])
        assert.deepStrictEqual(steps(machine, 6), [], "is said once")
        assert.strictEqual(machine.due, Infinity)
        machine.sent(6)
        machine.written()
        assert.deepStrictEqual(steps(machine, 6), role === "server" ? ["end"] : [])
        assert.deepStrictEqual(steps(machine, 10), [])
        assert.deepStrictEqual(steps(machine, 11), ["destroy"])
      })

      it("a call behind such an answer begins the wait anew", () => {
        const machine = new Closing(role, patience)
        machine.want(0, false)
        machine.want(3, true)
        machine.want(4, true)
        assert.strictEqual(machine.due, 8)
        machine.want(5, false)
        assert.strictEqual(machine.due, 8)
        machine.sent(6)
        machine.sent(7)
        machine.want(7, true)
        assert.strictEqual(machine.due, 8)
      })

      it("without a clock it waits for as long as the peer likes", () => {
        const machine = new Closing(role, patient)
        machine.want(0, true)
        machine.sent(0)
        machine.written()
        assert.deepStrictEqual(steps(machine, 0), [])
        assert.strictEqual(machine.due, Infinity)
      })
    })
  }

  it.effect.prop("whatever happens, in any order: it ends, says each step once, and never ends before its Close is written", {
    role: Schema.Literals(["client", "server"]),
    events: Arbitrary.array(
      Arbitrary.schema(Schema.Struct({
        what: Schema.Literals(["want", "call", "sent", "written", "Close", "Violation", "peerEnded", "alive", "wait"]),
        after: Schema.Literals([0, 1, 4, 5, 30])
      })),
      { maxLength: 40 }
    )
  }, ({ events, role }) =>
    Effect.sync(() => {
      const machine = new Closing(role, patience)
      const said: Array<Step> = []
      let now = 0
      let written = false
      let sent = false
      for (const { after, what } of events) {
        now += after
        if (what === "want" || what === "call") machine.want(now, what === "call")
        else if (what === "sent") (machine.sent(now), sent = true)
        else if (what === "written") (machine.written(), written ||= sent)
        else if (what === "Close" || what === "Violation") machine.receivedEnding(what)
        else if (what === "peerEnded") machine.peerEnded()
        else if (what === "alive") machine.alive(now)
        for (const step of steps(machine, now)) {
          if (step === "end") assert.isTrue(written)
          said.push(step)
        }
      }
      for (const step of ["giveUp", "unanswered", "end", "destroy"]) {
        assert.isAtMost(said.filter((one) => one === step).length, 1, step)
      }
      if (said.includes("destroy")) assert.strictEqual(said.at(-1), "destroy")
      if (!sent) return
      // With the time that is left it ends in any case.
      const rest = steps(machine, now + 61)
      assert.isTrue(said.includes("destroy") || rest.includes("destroy") || steps(machine, now + 200).includes("destroy"))
    }))

  it("waits for its Close to be taken before it ends, however long the peer goes on taking", () => {
    for (const role of ["client", "server"] as const) {
      const closing = new Closing(role, patience)
      closing.sent(0)
      closing.receivedEnding("Close")
      closing.peerEnded()
      for (let now = 4; now < 60; now += 4) {
        assert.deepStrictEqual(steps(closing, now), [])
        assert.strictEqual(closing.due, Math.min(now + 1, 60))
        closing.alive(now)
      }
      closing.written()
      assert.isTrue(closing.isWritten)
      assert.deepStrictEqual(steps(closing, 59), ["destroy"])
    }
  })

  it("gives up on a peer that takes nothing, and drops the transport at the bound", () => {
    const closing = new Closing("server", patience)
    closing.sent(10)
    assert.strictEqual(closing.due, 15)
    assert.deepStrictEqual(steps(closing, 14), [])
    assert.deepStrictEqual(steps(closing, 15), ["giveUp"])
    assert.isTrue(closing.isGivenUp)
    assert.strictEqual(closing.due, 70, "only the bound is left")
    assert.deepStrictEqual(steps(closing, 69), [])
    assert.deepStrictEqual(steps(closing, 70), ["destroy"])
  })

  it("a peer that was given up and takes the rest after all is waited for", () => {
    const closing = new Closing("server", patience)
    closing.sent(0)
    assert.deepStrictEqual(steps(closing, 5), ["giveUp"])
    closing.alive(30)
    closing.written()
    assert.strictEqual(closing.due, 35)
    closing.receivedEnding("Close")
    assert.deepStrictEqual(steps(closing, 31), ["end"])
  })

  describe("a Close that is wanted and cannot be sent yet", () => {
    it("is forced after the silence, once", () => {
      const closing = new Closing("server", patience)
      closing.want(10, false)
      closing.want(12, false)
      assert.strictEqual(closing.due, 15)
      assert.deepStrictEqual(steps(closing, 14), [])
      assert.deepStrictEqual(steps(closing, 15), ["force"])
      assert.strictEqual(closing.due, Infinity)
      assert.deepStrictEqual(steps(closing, 100), [])
    })

    it("a call starts its deadline, though a Close was wanted before it, and only the first call does", () => {
      const closing = new Closing("server", patience)
      closing.want(0, false)
      assert.deepStrictEqual(steps(closing, 5), ["force"])
      closing.want(7, true)
      assert.strictEqual(closing.due, 12)
      closing.want(9, true)
      closing.want(10, false)
      assert.strictEqual(closing.due, 12)
      assert.deepStrictEqual(steps(closing, 12), ["force"])
    })

    it("a call has one deadline for all that it waits for; without one the silence begins when the Close is sent", () => {
      const called = new Closing("server", patience)
      called.want(0, true)
      called.sent(3)
      assert.strictEqual(called.due, 5)
      assert.deepStrictEqual(steps(called, 5), ["giveUp"])
      const wanted = new Closing("server", patience)
      wanted.want(0, false)
      wanted.sent(3)
      assert.strictEqual(wanted.due, 8)
      assert.deepStrictEqual(steps(wanted, 5), [])
    })

    it("the bound counts from the moment it was wanted", () => {
      const closing = new Closing("server", patience)
      closing.want(0, false)
      for (let now = 0; now < 60; now += 4) closing.alive(now)
      closing.sent(56)
      closing.sent(59)
      assert.strictEqual(closing.due, 60)
      assert.deepStrictEqual(steps(closing, 60), ["destroy"])
    })

    it("the bound counts from the first wish, and the silence from the first Close", () => {
      const closing = new Closing("server", patience)
      closing.want(0, false)
      closing.want(50, false)
      closing.sent(52)
      closing.sent(54)
      assert.strictEqual(closing.due, 57)
      closing.alive(58)
      assert.strictEqual(closing.due, 60)
    })

    it("the first ending is what counts", () => {
      const closing = new Closing("client", patience)
      closing.receivedEnding("Violation")
      closing.receivedEnding("Close")
      closing.sent(0)
      closing.written()
      assert.deepStrictEqual(steps(closing, 0), ["end"])
      const answered = new Closing("client", patience)
      answered.receivedEnding("Close")
      answered.receivedEnding("Violation")
      answered.sent(0)
      answered.written()
      assert.deepStrictEqual(steps(answered, 0), [])
    })

    it("is none once it was sent", () => {
      const closing = new Closing("server", patience)
      closing.sent(0)
      closing.want(3, true)
      assert.strictEqual(closing.due, 5)
    })
  })
})
