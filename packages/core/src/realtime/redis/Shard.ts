/**
 * One shard as a process sees it: the topics in it of which the process hears, what it has asked Redis for, and whom it has entered. Topics share a
 * shard's channel, because a subscription is a connection of its own.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Redis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type { Deadlines } from "../../runtime/Deadlines.ts"
import type { Inbox } from "../broker/Inbox.ts"
import type { Presence } from "../broker/Model.ts"
import * as Calls from "./Calls.ts"
import { Hearing, type Verdict } from "./Hearing.ts"
import { parseMessage } from "./Messages.ts"
import { written } from "./Names.ts"
import { Outbox } from "./Outbox.ts"

/** What the shards of a process share. */
export interface Shared {
  readonly redis: Redis.Redis["Service"]
  readonly inbox: Inbox
  readonly deadlines: Deadlines
  readonly prefix: string
  readonly publishCommand: "PUBLISH" | "SPUBLISH"
  /** Milliseconds. */
  readonly timeout: number
  readonly lease: number
  /** The name of the process. */
  readonly owner: string
  readonly random: () => string
  /** A shard has another epoch: Redis lost data, maybe not that of the shard alone. */
  readonly onLost: () => void
  /** Runs until it is done, or the broker's scope ends. */
  readonly fork: (effect: Effect.Effect<void>) => void
}

/** How often in a row something was told and nothing heard, until another subscription is made. */
const mostSilences = 2

const deaf = Effect.fail(new Calls.CallFailed("no", new Error("Nothing is heard of what Redis tells")))

type Failed = Calls.CallFailed

export class Shard {
  private readonly shared: Shared
  private readonly name: string
  private readonly outbox: Outbox
  // The keys of those who are present.
  private readonly presence: ReadonlyArray<string>
  private readonly hearing = new Hearing()
  private readonly counts = new Map<string, number>()
  private isListening = false
  private readonly ready = Latch.makeUnsafe()
  // Open where the subscription is to be given up: it has been told so often in a row, and has heard nothing.
  private readonly stale = Latch.makeUnsafe()
  private silences = 0
  private readonly entered = new Map<string, { readonly topic: string; readonly presence: Presence }>()
  // Whether Redis has a lease of this process, or may have.
  private isLeased = false
  // How often in a row Redis had others entered than this process.
  private differed = 0
  private isTicking = false
  private isForcing = false

  constructor(shared: Shared, index: number) {
    this.shared = shared
    this.name = `{${shared.prefix}:${index}}`
    this.presence = ["leases", "in", "by", "count", "of"].map((name) => this.key(name))
    const { deadlines, fork, owner, timeout } = shared
    this.outbox = new Outbox({
      call: (keys, args) => this.call(Calls.apply, [...this.presence, ...keys], [owner, ...args]),
      fork,
      deadlines,
      timeout
    })
  }

  private key(rest: string): string {
    return `${this.name}:${rest}`
  }

  /** Runs a script on the shard. */
  private call(
    script: Calls.Script,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string>,
    force = false
  ): Effect.Effect<ReadonlyArray<string>, Failed> {
    return Effect.suspend(() => {
      const { lease, publishCommand, random, redis, timeout } = this.shared
      const { knownEpoch, knownSeq, proof } = this.hearing
      // Who hears nothing cannot follow, and has nothing that could be lost.
      const { mark, seq } = this.isListening ? proof : { seq: 0, mark: "" }
      return Effect.map(
        Calls.call(
          redis,
          script,
          [this.key("state"), ...keys],
          [knownEpoch, `${knownSeq}`, force ? "1" : "0", random(), publishCommand, this.name, `${lease}`, `${seq}`, mark, ...args],
          timeout
        ),
        (answer) => {
          const [told, newest = ""] = answer[1].split(" ")
          this.judge(this.hearing.answered(answer[0], Number(told), newest, proof))
          if (knownEpoch !== "" && this.hearing.knownEpoch !== knownEpoch) this.shared.onLost()
          return answer
        }
      )
    })
  }

  /** Does something in the shard, in order. */
  private submit(
    operation: string,
    args: ReadonlyArray<string>,
    answers = 0,
    keys: ReadonlyArray<string> = []
  ): Effect.Effect<ReadonlyArray<string>, Failed> {
    return this.outbox.submit({ keys, args: [operation, ...args], answers })
  }

  // --- publications --------------------------------------------------------------------------

  publish(topic: string, key: string, body: string, history: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, Failed> {
    const name = written(topic)
    return this.submit("P", [name, ...history, body], 3, [this.key(`log:${name}`), this.key(`key:${name}\n${written(key)}`)])
  }

  signal(topic: string, from: string, payload: string): Effect.Effect<void, Failed> {
    return Effect.asVoid(this.submit("S", [JSON.stringify([topic, from, payload])]))
  }

  /** Answers epoch, `SEQ MARK`, top, the oldest offset, then offset and body of each entry. */
  read(topic: string, epoch: string, offset: number, limit: number): Effect.Effect<ReadonlyArray<string>, Failed> {
    const name = written(topic)
    return this.call(Calls.read, [this.key(`log:${name}`)], [name, epoch, `${offset}`, `${limit}`])
  }

  /** Answers epoch, `SEQ MARK` and top. */
  top(topic: string): Effect.Effect<ReadonlyArray<string>, Failed> {
    return this.call(Calls.tops, [], [written(topic)])
  }

  // --- hearing -------------------------------------------------------------------------------

  count(topic: string): void {
    this.counts.set(topic, (this.counts.get(topic) ?? 0) + 1)
  }

  /** Waits until Redis has confirmed that it tells of the shard. */
  get listening(): Effect.Effect<void, Failed> {
    return Effect.suspend(() => {
      if (!this.isListening) {
        this.isListening = true
        this.shared.fork(this.listen(0))
      }
      return Effect.mapError(Calls.within(this.ready.await, this.shared.timeout), ({ cause }) => new Calls.CallFailed("no", cause))
    })
  }

  uncount(topic: string): void {
    const count = this.counts.get(topic)! - 1
    if (count > 0) this.counts.set(topic, count)
    else this.counts.delete(topic)
  }

  /** Hears until the end, by one subscription after the other. */
  private listen(attempt: number): Effect.Effect<void> {
    let failures = attempt
    return this.hear(() => {
      failures = 0
    }, attempt > 0).pipe(
      Effect.catchCause((cause) =>
        Effect.suspend(() => {
          this.ready.closeUnsafe()
          if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
          const wait = Math.min(2000, 100 * 2 ** failures)
          return Effect.logWarning(`The subscription to ${this.name} has ended; another one is made`, cause).pipe(
            Effect.andThen(Effect.sleep(wait)),
            Effect.andThen(Effect.suspend(() => this.listen(failures + 1)))
          )
        })
      )
    )
  }

  private hear(onReady: () => void, isAgain: boolean): Effect.Effect<never, Redis.RedisError | Failed> {
    return Effect.scoped(Effect.gen({ self: this }, function*() {
      const queue = yield* this.shared.redis.subscribe(this.name)
      // A subscription that could not be made is a queue that has failed.
      const first = Queue.takeUnsafe(queue)
      if (first !== undefined && Exit.isFailure(first)) return yield* Effect.failCause(first.cause)
      this.hearing.restart()
      this.silences = 0
      this.stale.closeUnsafe()
      // Tells where the shard is now, with which the first message is compared.
      yield* this.call(Calls.tops, [], [])
      if (first !== undefined) this.hearText(first.value.message)
      onReady()
      this.ready.openUnsafe()
      if (isAgain) this.missed()
      const take = Effect.map(Queue.takeAll(queue), (messages) => {
        for (const { message } of messages) this.hearText(message)
      })
      return yield* Effect.raceFirst(Effect.forever(take), Effect.andThen(this.stale.await, deaf))
    }))
  }

  private hearText(text: string): void {
    this.silences = 0
    const message = parseMessage(text)
    if (message === undefined) return this.missed()
    const { before, changed, epoch, mark, published, seq, signals } = message
    if (seq !== undefined) this.judge(this.hearing.heard(epoch, seq, mark, before))
    const { inbox } = this.shared
    for (const [offset, topic, key, payload] of published) {
      if (this.counts.has(topic)) inbox.offer({ _tag: "Published", topic, epoch, entry: { offset, key, payload } })
    }
    for (const topic of changed) if (this.counts.has(topic)) inbox.offer({ _tag: "MembersChanged", topic })
    for (const [topic, from, payload] of signals) if (this.counts.has(topic)) inbox.offer({ _tag: "Signalled", topic, from, payload })
  }

  private judge(verdict: Verdict): void {
    if (verdict === "complete") return
    this.missed()
    if (verdict === "missed" || this.isForcing) return
    this.isForcing = true
    this.shared.fork(Effect.ignore(Effect.ensuring(
      this.call(Calls.tops, [], [], true),
      Effect.sync(() => {
        this.isForcing = false
      })
    )))
  }

  private missed(): void {
    for (const topic of this.counts.keys()) this.shared.inbox.offer({ _tag: "Missed", topic })
  }

  // --- presence ------------------------------------------------------------------------------

  enter(topic: string, presence: Presence): Effect.Effect<void, Failed> {
    return Effect.suspend(() => {
      const entered = { topic, presence }
      this.entered.set(presence.id, entered)
      this.isLeased = true
      return Effect.tapError(this.submitEnter(topic, presence), () =>
        Effect.sync(() => {
          // Whoever asked takes it as not done: if it is done all the same, the next tick undoes it.
          if (this.entered.get(presence.id) === entered) this.entered.delete(presence.id)
        }))
    })
  }

  private submitEnter(topic: string, { id, member, payload }: Presence): Effect.Effect<void, Failed> {
    return Effect.asVoid(this.submit("E", [written(topic), written(id), written(member), payload]))
  }

  leave(topic: string, id: string): Effect.Effect<void, Failed> {
    return Effect.suspend(() => {
      this.entered.delete(id)
      return Effect.asVoid(this.submit("L", [written(topic), written(id)]))
    })
  }

  /** Answers epoch, `SEQ MARK`, the count, then id, member and payload of each. */
  members(topic: string, limit: number): Effect.Effect<ReadonlyArray<string>, Failed> {
    return this.call(Calls.members, this.presence, [written(topic), `${limit}`])
  }

  // --- every now and then --------------------------------------------------------------------

  /** Says that the process lives, and compares: what was told with what was heard, whom Redis has entered with who is. */
  get tick(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isTicking || (!this.isListening && !this.isLeased)) return Effect.void
      this.isTicking = true
      const expected = this.entered.size
      // Soon again where Redis is away: the lease goes on meanwhile.
      return Effect.retry(this.submit("R", [`${expected}`], 1), { schedule: Schedule.spaced(this.shared.lease / 20), times: 6 }).pipe(
        Effect.flatMap(([count]) => {
          const { knownEpoch, knownSeq } = this.hearing
          if (this.isListening) {
            const verdict = this.hearing.compared(knownEpoch, knownSeq)
            if (verdict !== "complete" && ++this.silences >= mostSilences) this.stale.openUnsafe()
            this.judge(verdict)
          }
          return this.compare(Number(count), expected)
        }),
        Effect.ignore,
        Effect.ensuring(Effect.sync(() => {
          this.isTicking = false
        }))
      )
    })
  }

  private compare(count: number, expected: number): Effect.Effect<void, Failed> {
    if (count === expected) {
      this.differed = 0
      if (count === 0 && this.entered.size === 0) this.isLeased = false
      return Effect.void
    }
    this.differed++
    this.isLeased = true
    const enter = Effect.suspend(() =>
      Effect.forEach(Array.from(this.entered.values()), ({ presence, topic }) => this.submitEnter(topic, presence), {
        concurrency: "unbounded",
        discard: true
      })
    )
    // Redis has somebody who left, or entering again has not helped.
    return count > expected || this.differed > 1 ? Effect.andThen(this.bury, enter) : enter
  }

  /** Everybody whom the process entered leaves. */
  private readonly bury: Effect.Effect<void, Failed> = Effect.suspend(() =>
    Effect.flatMap(this.submit("X", [], 1), ([done]) => done === "1" ? Effect.void : this.bury)
  )

  /** The process ends: nobody has to wait for its lease. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.entered.clear()
      return this.isLeased ? Effect.ignore(Calls.within(this.bury, this.shared.timeout)) : Effect.void
    }).pipe(Effect.ensuring(Effect.sync(() => this.outbox.close())))
  }
}
