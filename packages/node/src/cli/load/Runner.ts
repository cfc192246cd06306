/**
 * The messages of a load: sends those that are due on every connection, and measures the time until each comes back.
 */
import type { Message, WebSocket } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Latencies } from "./Latencies.ts"
import * as Plan from "./Plan.ts"

export interface RunnerOptions {
  readonly size: number
  readonly binary: boolean
  /** Messages a second over all connections; without it each connection has `depth` messages under way. */
  readonly rate: number | undefined
  readonly depth: number
  /** No answers are expected. */
  readonly isOneWay: boolean
}

export interface Counts {
  readonly sent: number
  readonly received: number
  /** Messages that came back altered, out of order or unasked for. */
  readonly wrong: number
  /** Connections that ended before the load did. */
  readonly broken: number
  /** Messages that were due and not sent, because the connection or this program was too slow. */
  readonly behind: number
}

/** One connection: how much it has sent, and when each unanswered message was due. */
class Lane {
  readonly ws: WebSocket.WebSocket
  readonly index: number
  sent = 0
  received = 0
  isBroken = false
  /** A message waits until the connection accepts it. */
  isWaiting = false
  /** Due times, as a ring that grows. */
  private due = new Float64Array(64)

  constructor(ws: WebSocket.WebSocket, index: number) {
    this.ws = ws
    this.index = index
  }

  get underWay(): number {
    return this.sent - this.received
  }

  push(due: number): void {
    if (this.underWay === this.due.length) {
      const wider = new Float64Array(2 * this.due.length)
      for (let at = this.received; at < this.sent; at++) wider[at % wider.length] = this.due[at % this.due.length]!
      this.due = wider
    }
    this.due[this.sent++ % this.due.length] = due
  }

  shift(): number {
    return this.due[this.received++ % this.due.length]!
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder("latin1")

export class Runner {
  readonly latencies = new Latencies()
  private readonly options: RunnerOptions
  private readonly lanes: ReadonlyArray<Lane>
  private readonly plan: Plan.Plan | undefined
  private readonly messages: ReturnType<typeof Plan.numbered>
  private wrong = 0
  private isSending = false
  /** How many messages each connection sends at most. */
  private most = Infinity
  private began = 0
  private limit = Infinity
  private ended = 0
  private wake = (): void => {}

  constructor(connections: ReadonlyArray<WebSocket.WebSocket>, options: RunnerOptions) {
    this.options = options
    this.lanes = connections.map((ws, index) => new Lane(ws, index))
    this.plan = options.rate === undefined ? undefined : Plan.make(connections.length, options.rate)
    this.messages = Plan.numbered(options.size)
  }

  get counts(): Counts {
    const elapsed = Math.min(this.seconds * 1000, this.limit)
    let sent = 0
    let received = 0
    let broken = 0
    let due = 0
    for (const lane of this.lanes) {
      sent += lane.sent
      received += lane.received
      if (lane.isBroken) broken++
      due += this.plan === undefined ? lane.sent : Math.min(this.most, this.plan.dueBefore(lane.index, elapsed))
    }
    return { sent, received, wrong: this.wrong, broken, behind: Math.max(0, due - sent) }
  }

  /** Seconds since the first message was due, up to the end of sending. */
  get seconds(): number {
    return ((this.isSending ? performance.now() : this.ended) - this.began) / 1000
  }

  /** Reads each connection until it ends. */
  readonly reading: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(this.lanes, (lane) =>
      Stream.runForEach(lane.ws.batches, (batch) => Effect.sync(() => this.take(lane, batch))).pipe(
        Effect.ignore,
        Effect.ensuring(Effect.sync(() => {
          if (this.isSending || (!this.options.isOneWay && lane.underWay > 0)) lane.isBroken = true
          this.wake()
        }))
      ), { concurrency: "unbounded", discard: true })
  )

  /** Sends until the time is over, or until each connection has sent its number of messages. */
  send(millis: number, most: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.began = performance.now()
      this.isSending = true
      this.most = most
      this.limit = millis
      const step = (): void => {
        const now = performance.now()
        const end = this.began + millis
        if (!this.sendDue(Math.min(now, end)) && now < end) return
        stop()
        resume(Effect.void)
      }
      // Node's timers are at least a millisecond late, so each run sends all messages that became due since the last one.
      const timer = setInterval(step, 1)
      const stop = () => {
        clearInterval(timer)
        this.isSending = false
        this.ended = performance.now()
      }
      step()
      return Effect.sync(stop)
    })
  }

  /** Waits until all messages have come back, but no longer than this. */
  settle(millis: number): Effect.Effect<void> {
    const isSettled = () => this.options.isOneWay || this.lanes.every((lane) => lane.isBroken || lane.underWay <= 0)
    return Effect.callback<void>((resume) => {
      const finish = () => {
        clearTimeout(timer)
        this.wake = () => {}
        resume(Effect.void)
      }
      const timer = setTimeout(finish, millis)
      this.wake = () => {
        if (isSettled()) finish()
      }
      this.wake()
      return Effect.sync(() => clearTimeout(timer))
    })
  }

  /** Sends the messages that are due. Returns whether every connection has sent all of its messages. */
  private sendDue(now: number): boolean {
    const { most, plan } = this
    let isOver = true
    for (const lane of this.lanes) {
      if (lane.isBroken) continue
      if (plan === undefined) this.fill(lane, now)
      else {
        const due = Math.min(most, plan.dueBefore(lane.index, Math.min(now - this.began, this.limit)))
        while (lane.sent < due && this.offer(lane, this.began + plan.dueAt(lane.index, lane.sent)));
      }
      if (lane.sent < most) isOver = false
    }
    return isOver
  }

  /** Keeps `depth` messages under way. */
  private fill(lane: Lane, now: number): void {
    const depth = this.options.isOneWay ? Infinity : this.options.depth
    while (lane.sent < this.most && lane.underWay < depth && this.offer(lane, now));
  }

  /** Sends a message at once. If the connection cannot accept it, one message waits; all others stay due. */
  private offer(lane: Lane, due: number): boolean {
    if (lane.isWaiting) return false
    const text = this.messages.make(lane.sent)
    const message = this.options.binary ? encoder.encode(text) : text
    if (!lane.ws.offerUnsafe(message)) this.wait(lane, message)
    if (this.options.isOneWay) lane.sent++
    else lane.push(due)
    return true
  }

  private wait(lane: Lane, message: Message.Message): void {
    lane.isWaiting = true
    Effect.runFork(Effect.ensuring(
      Effect.ignore(lane.ws.send(message)),
      Effect.sync(() => {
        lane.isWaiting = false
      })
    ))
  }

  private take(lane: Lane, batch: ReadonlyArray<Message.Message>): void {
    const now = performance.now()
    if (this.options.isOneWay) return
    for (const message of batch) {
      if (lane.underWay === 0) {
        this.wrong++
        continue
      }
      const text = typeof message === "string" ? message : decoder.decode(message)
      const isBinary = typeof message !== "string"
      if (isBinary !== this.options.binary || !this.messages.fits(text, lane.received)) this.wrong++
      this.latencies.record(now - lane.shift())
    }
    // To keep `depth` messages under way, the next ones are sent at once, not at the next tick.
    if (this.isSending && this.plan === undefined) this.fill(lane, now)
    this.wake()
  }
}
