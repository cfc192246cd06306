/** What became of messages to slow peers, and of handlers whose clients left: each side's account is compared with the other's. */
import { Histogram } from "./histogram.ts"
import type { Accepted, Departure, HandlerCounts, HandlerEnd, Received } from "./messages.ts"

/** Milliseconds in which a handler ends once its client has left: its grace of 5 s, and room for a machine that has no time. */
const mostMillis = 60_000

export interface SlowCounts {
  readonly connections: number
  readonly accepted: number
  readonly received: number
  /** Accepted by `send` and `flush`, or before a close that reported `clean`, and not received. */
  readonly lost: number
  /** Accepted by `send`, not received, and reported to the sender: `clean` is false. */
  readonly told: number
  readonly outOfPlace: number
}

const noCounts: SlowCounts = { connections: 0, accepted: 0, received: 0, lost: 0, told: 0, outOfPlace: 0 }

/** How long handlers went on after their clients had left. */
export interface Stay {
  readonly histogram: Histogram
  late: number
}

export class Fates {
  /** By how the peer read and how the connection was ended. */
  readonly slow: Record<string, SlowCounts> = {}
  /** By the handler and how its client left. */
  readonly stays: Record<string, Stay> = {}
  handlers: HandlerCounts = {}
  pushes = { received: 0, lost: 0, pings: 0 }
  private readonly accepted = new Map<string, Accepted>()
  private readonly received = new Map<string, Received>()
  private readonly departures = new Map<string, Departure>()
  private readonly ends = new Map<string, HandlerEnd>()

  addAccepted(all: ReadonlyArray<Accepted>): void {
    for (const one of all) {
      this.accepted.set(one.key, one)
      this.matchSlow(one.key)
    }
  }

  addReceived(all: ReadonlyArray<Received>): void {
    for (const one of all) {
      this.received.set(one.key, one)
      this.matchSlow(one.key)
    }
  }

  addDepartures(all: ReadonlyArray<Departure>): void {
    for (const one of all) {
      this.departures.set(one.key, one)
      this.matchHandler(one.key)
    }
  }

  addEnds(all: ReadonlyArray<HandlerEnd>): void {
    for (const one of all) {
      this.ends.set(one.key, one)
      this.matchHandler(one.key)
    }
  }

  private matchSlow(key: string): void {
    const accepted = this.accepted.get(key)
    const received = this.received.get(key)
    if (accepted === undefined || received === undefined) return
    this.accepted.delete(key)
    this.received.delete(key)
    const missing = Math.max(0, accepted.sent - received.received)
    const lost = accepted.clean ? missing : Math.max(0, accepted.flushed - received.received)
    const name = `${received.pace}; ended by ${accepted.end === "close" ? "`close`" : "its scope"}${accepted.flushed > 0 ? " after `flush`" : ""}`
    const before = this.slow[name] ?? noCounts
    this.slow[name] = {
      connections: before.connections + 1,
      accepted: before.accepted + accepted.sent,
      received: before.received + received.received,
      lost: before.lost + lost,
      told: before.told + missing - lost,
      outOfPlace: before.outOfPlace + received.outOfPlace
    }
  }

  private matchHandler(key: string): void {
    const departure = this.departures.get(key)
    const end = this.ends.get(key)
    if (departure === undefined || end === undefined) return
    this.departures.delete(key)
    this.ends.delete(key)
    const stay = this.stays[`${departure.kind}, left by ${departure.way}`] ??= { histogram: new Histogram(), late: 0 }
    const millis = Math.max(0, end.at - departure.at)
    stay.histogram.record(millis)
    if (millis > mostMillis) stay.late++
  }

  /** Handlers that still run. */
  get running(): number {
    return Object.values(this.handlers).reduce((sum, { ended, started }) => sum + started - ended, 0)
  }

  get lost(): number {
    return this.pushes.lost + Object.values(this.slow).reduce((sum, { lost }) => sum + lost, 0)
  }

  /** Everything has ended; what is wrong, in words. */
  finish(): ReadonlyArray<string> {
    const failures: Array<string> = []
    const say = (count: number, what: string) => {
      if (count > 0) failures.push(`${count} ${what}`)
    }
    for (const [name, { lost, outOfPlace }] of Object.entries(this.slow)) {
      say(lost, `accepted messages were lost on the way to a peer that read ${name}`)
      say(outOfPlace, `messages were not the next ones for a peer that read ${name}`)
    }
    say(this.pushes.lost, "messages to subscribers were lost")
    for (const [name, { late }] of Object.entries(this.stays)) say(late, `handlers (${name}) ended more than ${mostMillis / 1000} s after their clients`)
    for (const [name, { ended, started }] of Object.entries(this.handlers)) say(started - ended, `handlers (${name}) were left behind`)
    say(this.accepted.size, "senders to slow peers have no receiver")
    say(this.received.size, "slow receivers have no sender whose connection closed")
    return failures
  }
}
