import { assert, describe, it } from "@effect/vitest"
import { type EventLoop, type FannedOut, flushSoon } from "../../src/runtime/FanOuts.ts"

/** An event loop whose turns are taken by hand. */
class Loop implements EventLoop {
  now = 0
  private tasks: Array<() => void> = []

  get isIdle(): boolean {
    return this.tasks.length === 0
  }

  preciseNow(): number {
    return this.now
  }

  nextTurn(task: () => void): void {
    this.tasks.push(task)
  }

  turn(): void {
    const { tasks } = this
    this.tasks = []
    for (const task of tasks) task()
  }
}

/** A connection as its link behaves: all that waits for it goes out in one write. */
class Connection implements FannedOut {
  isFannedOut = false
  readonly deadlines: Loop
  readonly name: string
  onWrite: () => void = () => {}
  private readonly written: Array<string>
  private isScheduled = false
  private queued: Array<string> = []

  constructor(name: string, written: Array<string>, loop = new Loop()) {
    this.name = name
    this.written = written
    this.deadlines = loop
  }

  send(message: string): void {
    this.queued.push(message)
    if (this.isScheduled && !this.isFannedOut) return
    this.isScheduled = true
    flushSoon(this)
  }

  flush(): void {
    if (this.queued.length > 0) this.written.push(`${this.name}: ${this.queued.join()}`)
    this.queued = []
    this.onWrite()
  }

  flushNow(): void {
    this.isScheduled = this.isFannedOut = false
    this.flush()
  }
}

/** Members of a room on one loop. */
const makeRoom = (size: number) => {
  const loop = new Loop()
  const written: Array<string> = []
  const members = Array.from({ length: size }, (_, i) => new Connection(`${i}`, written, loop))
  return {
    loop,
    members,
    written,
    tellAll: (message: string) => members.forEach((member) => member.send(message)),
    /** What was written since the last time. */
    taken: () => written.splice(0)
  }
}

/** The end of this run of JavaScript. */
const runEnds = Promise.resolve()

const each = (size: number, messages: string, from = 0) => Array.from({ length: size }, (_, i) => `${from + i}: ${messages}`)

describe("FanOuts", () => {
  it("flushes a few, in order, once the run of JavaScript ends", async () => {
    const { loop, taken, tellAll } = makeRoom(3)
    tellAll("a")
    tellAll("b")
    assert.deepStrictEqual(taken(), [])
    await runEnds
    assert.deepStrictEqual(taken(), each(3, "a,b"))
    assert.isTrue(loop.isIdle)
  })

  it("does not forget who asks for it while others are flushed", async () => {
    const { members, taken } = makeRoom(3)
    members[0].onWrite = () => members[2].send("late")
    members[0].send("a")
    members[1].send("b")
    for (let turn = 0; turn < 3; turn++) await runEnds
    assert.deepStrictEqual(taken(), ["0: a", "1: b", "2: late"])
  })

  it("lets four or more wait for the next turn of the loop, and nobody else", async () => {
    const { loop, taken, tellAll } = makeRoom(4)
    tellAll("a")
    await runEnds
    assert.deepStrictEqual(taken(), [])
    const other = makeRoom(1)
    other.tellAll("an answer")
    await runEnds
    assert.deepStrictEqual(other.taken(), ["0: an answer"])
    loop.turn()
    assert.deepStrictEqual(taken(), each(4, "a"))
    assert.isTrue(loop.isIdle)
  })

  it("writes once what several tell in a turn, also to those whom few of them tell", async () => {
    const { loop, members, taken } = makeRoom(5)
    // Each tells all the others.
    for (const sender of members) {
      for (const member of members) if (member !== sender) member.send(sender.name)
      await runEnds
    }
    assert.deepStrictEqual(taken(), [])
    loop.turn()
    assert.deepStrictEqual(taken(), ["1: 0,2,3,4", "2: 0,1,3,4", "3: 0,1,2,4", "4: 0,1,2,3", "0: 1,2,3,4"])
    assert.isTrue(loop.isIdle)
  })

  it("takes many answers to one connection for no fan-out", async () => {
    const { loop, members, taken, tellAll } = makeRoom(5)
    tellAll("a")
    await runEnds
    for (const answer of ["b", "c", "d", "e"]) members[3].send(answer)
    await runEnds
    assert.deepStrictEqual(taken(), ["3: a,b,c,d,e"])
    loop.turn()
    assert.deepStrictEqual(taken(), ["0: a", "1: a", "2: a", "4: a"])
  })

  it("writes an answer to one that waits for its turn at once, behind what it waits for", async () => {
    const { loop, members, taken, tellAll } = makeRoom(5)
    tellAll("a")
    await runEnds
    members[3].send("an answer")
    await runEnds
    assert.deepStrictEqual(taken(), ["3: a,an answer"])
    loop.turn()
    assert.deepStrictEqual(taken(), ["0: a", "1: a", "2: a", "4: a"])
    // It did not lose its place in what follows.
    tellAll("b")
    await runEnds
    loop.turn()
    assert.deepStrictEqual(taken(), each(5, "b"))
  })

  it("takes a turn of the loop between the slices of a long fan-out, and writes together what came meanwhile", async () => {
    const { loop, taken, tellAll } = makeRoom(150)
    tellAll("a")
    await runEnds
    loop.turn()
    assert.deepStrictEqual(taken(), each(64, "a"))
    // Someone else.
    const other = makeRoom(1)
    other.tellAll("an answer")
    await runEnds
    assert.deepStrictEqual(other.taken(), ["0: an answer"])
    tellAll("b")
    await runEnds
    assert.deepStrictEqual(taken(), [])
    loop.turn()
    assert.deepStrictEqual(taken(), each(64, "a,b", 64))
    loop.turn()
    assert.deepStrictEqual(taken(), [...each(22, "a,b", 128), ...each(42, "b")])
    loop.turn()
    assert.deepStrictEqual(taken(), each(22, "b", 42))
    assert.isTrue(loop.isIdle)
  })

  it("goes on for as long as others had the loop, where it is busy", async () => {
    const { loop, members, taken, tellAll } = makeRoom(400)
    for (const member of members) {
      member.onWrite = () => {
        loop.now += 1
      }
    }
    tellAll("a")
    await runEnds
    loop.now += 65
    loop.turn()
    assert.deepStrictEqual(taken(), each(128, "a"))
    loop.now += 129
    loop.turn()
    assert.deepStrictEqual(taken(), each(192, "a", 128))
    loop.turn()
    assert.deepStrictEqual(taken(), each(64, "a", 320))
    loop.turn()
    assert.deepStrictEqual(taken(), each(16, "a", 384))
    assert.isTrue(loop.isIdle)
  })

  it("serves all in their order, however many tell them however often", async () => {
    const { loop, members, written, tellAll } = makeRoom(100)
    const rounds = 40
    for (let round = 0; round < rounds; round++) {
      tellAll(`${round}`)
      await runEnds
      if (round % 3 === 0) loop.turn()
    }
    for (let turn = 0; turn < 4; turn++) loop.turn()
    assert.isTrue(loop.isIdle)
    for (const { name } of members) {
      const got = written.filter((one) => one.startsWith(`${name}: `)).map((one) => one.slice(name.length + 2)).join()
      assert.strictEqual(got, Array.from({ length: rounds }, (_, i) => `${i}`).join())
    }
  })
})
