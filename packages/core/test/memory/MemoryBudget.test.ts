/** The account by itself; what connections do with it is in the test of the public module. */
import { assert, describe, it } from "@effect/vitest"
import { type Holder, MemoryBudget } from "../../src/memory/MemoryBudget.ts"
import type { Alarm, Deadlines } from "../../src/runtime/Deadlines.ts"

const pageSize = 4096

/** Deadlines that the test lets pass. */
const clock = () => {
  const turns: Array<() => void> = []
  const alarms = new Map<Alarm, number>()
  const time = { now: 0 }
  const deadlines = {
    now: () => time.now,
    nextTurn: (run: () => void) => void turns.push(run),
    set: (alarm: Alarm, at: number) => void (at === Infinity ? alarms.delete(alarm) : alarms.set(alarm, at))
  } as unknown as Deadlines
  return {
    deadlines,
    alarms,
    turns,
    turn: () => {
      for (const run of turns.splice(0)) run()
    },
    advance: (to: number) => {
      time.now = to
      for (const [alarm, at] of Array.from(alarms)) {
        if (at > to) continue
        alarms.delete(alarm)
        alarm.onAlarm(to)
      }
    }
  }
}

interface Seen extends Holder {
  heldBytes: number
  isOpen: boolean
  readonly seen: Array<string>
}

const setup = (options: { readonly pages?: number; readonly order?: "largest" | "newest" } = {}) => {
  const budget = new MemoryBudget((options.pages ?? 8) * pageSize, 2000, options.order ?? "largest")
  const time = clock()
  let serial = 0
  const holder = (deadlines = time.deadlines): Seen => {
    const one: Seen = {
      deadlines,
      heldBytes: 0,
      accounted: 0,
      serial: serial++,
      isOpen: true,
      seen: [],
      regulate: () => void one.seen.push(budget.isExhausted ? "pause" : "resume"),
      shed: () => {
        one.seen.push("shed")
        one.isOpen = false
      }
    }
    return one
  }
  return { budget, holder, ...time }
}

/** A holder has this many pages now, and almost one more. */
const holds = (budget: MemoryBudget, holder: Seen, pages: number) => {
  holder.heldBytes = pages * pageSize + pageSize - 1
  budget.account(holder)
}

describe("MemoryBudget", () => {
  it("adds up the pages of all holders", () => {
    const { budget, holder, turns } = setup()
    const [a, b] = [holder(), holder()]
    holds(budget, a, 3)
    holds(budget, b, 4)
    assert.deepStrictEqual([budget.bytes, a.accounted, b.accounted], [7 * pageSize, 3, 4])
    holds(budget, a, 1)
    assert.strictEqual(budget.bytes, 5 * pageSize)
    budget.leave(b)
    budget.leave(b)
    assert.strictEqual(budget.bytes, pageSize)
    holds(budget, a, 0)
    assert.deepStrictEqual([budget.bytes, budget.isExhausted, turns.length], [0, false, 0])
  })

  it("pauses those that hold something in a later turn, and resumes those that paused at seven eighths", () => {
    const { alarms, budget, holder, turn, turns } = setup()
    const [a, b, idle] = [holder(), holder(), holder()]
    holds(budget, a, 1)
    holds(budget, b, 6)
    assert.isFalse(budget.isExhausted)
    holds(budget, b, 7)
    assert.isTrue(budget.isExhausted)
    holds(budget, a, 2)
    assert.deepStrictEqual([a.seen, b.seen, turns.length], [[], [], 1])
    turn()
    assert.deepStrictEqual([a.seen, b.seen, idle.seen], [["pause"], ["pause"], []])
    assert.deepStrictEqual([a, idle, b].map((holder) => budget.holdsBack(holder)), [true, true, true])
    budget.leave(b)
    assert.isFalse(budget.isExhausted, "there is room")
    assert.isFalse(budget.holdsBack(b))
    assert.strictEqual(alarms.size, 0)
    turn()
    assert.deepStrictEqual([a.seen, b.seen, idle.seen], [["pause", "resume"], ["pause"], ["resume"]])
    holds(budget, a, 8)
    turn()
    holds(budget, a, 1)
    turn()
    assert.deepStrictEqual(idle.seen, ["resume"], "who paused is told once")
    // Seven eighths, and no page more.
    const c = holder()
    holds(budget, a, 1)
    holds(budget, c, 7)
    assert.isTrue(budget.isExhausted)
    holds(budget, c, 6)
    assert.isFalse(budget.isExhausted)
  })

  it("after the grace closes the largest until the rest fits, and again if that does not help", () => {
    const { advance, alarms, budget, holder, turn } = setup()
    const [small, large, larger] = [holder(), holder(), holder()]
    holds(budget, small, 1)
    holds(budget, large, 3)
    holds(budget, larger, 4)
    turn()
    advance(1999)
    assert.strictEqual(budget.shed, 0)
    advance(2000)
    assert.deepStrictEqual([small.isOpen, large.isOpen, larger.isOpen], [true, true, false])
    assert.strictEqual(budget.shed, 1)
    assert.strictEqual(alarms.size, 1)
    // It still holds it, and what it holds counts as given back.
    advance(4000)
    assert.strictEqual(budget.shed, 1)
    holds(budget, large, 7)
    advance(6000)
    assert.deepStrictEqual([small.isOpen, large.isOpen], [true, false])
    budget.leave(large)
    budget.leave(larger)
    assert.isFalse(budget.isExhausted)
    assert.strictEqual(alarms.size, 0)
  })

  it("or the newest first", () => {
    const { advance, budget, holder, turn } = setup({ order: "newest" })
    const [first, second, third] = [holder(), holder(), holder()]
    holds(budget, third, 1)
    holds(budget, first, 6)
    holds(budget, second, 1)
    turn()
    advance(2000)
    assert.deepStrictEqual([first.isOpen, second.isOpen, third.isOpen], [true, true, false])
  })

  it("closes at once what is a quarter too much, however it became that", () => {
    for (const changes of [[10], [8, 10]]) {
      const { budget, holder, turn, turns } = setup()
      const one = holder()
      for (const pages of changes) holds(budget, one, pages)
      assert.strictEqual(turns.length, 1)
      turn()
      assert.deepStrictEqual(one.seen, ["shed", "pause"])
    }
    const { budget, holder, turn } = setup()
    const one = holder()
    holds(budget, one, 9)
    turn()
    holds(budget, one, 10)
    turn()
    assert.deepStrictEqual(one.seen, ["pause", "shed", "pause"])
  })

  it("closes nobody where there is room again before the turn", () => {
    const { budget, holder, turn } = setup()
    const one = holder()
    holds(budget, one, 10)
    budget.holdsBack(one)
    holds(budget, one, 0)
    turn()
    assert.deepStrictEqual([one.seen, budget.shed], [["resume"], 0])
  })

  it("an alarm that finds room does nothing", () => {
    const { alarms, budget, holder } = setup()
    const one = holder()
    holds(budget, one, 8)
    const [alarm] = alarms.keys()
    holds(budget, one, 1)
    alarm!.onAlarm(2000)
    assert.deepStrictEqual([one.seen, alarms.size], [[], 0])
  })

  it("keeps one alarm, with the deadlines of the connection that exhausted it", () => {
    const { alarms, budget, holder } = setup()
    const other = clock()
    const [a, b] = [holder(), holder(other.deadlines)]
    holds(budget, b, 9)
    holds(budget, a, 1)
    assert.deepStrictEqual([alarms.size, other.alarms.size], [0, 1])
    assert.deepStrictEqual([...other.alarms.values()], [2000])
    other.advance(2000)
    assert.strictEqual(budget.shed, 1)
    assert.deepStrictEqual([...other.alarms.values()], [4000])
  })
})
