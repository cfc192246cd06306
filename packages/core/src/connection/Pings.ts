/**
 * Pings and their Pongs: round trips for `ping`, and the keepalive that finds out whether the peer
 * is still there (RFC 6455 §5.5.2-§5.5.3).
 */
import type { ControlObserver } from "../protocol/Inbound.ts"
import { type KeepAlive, keepAliveTimedOut, type TimedLink } from "./LinkHooks.ts"
import * as PingEffects from "./PingEffects.ts"
import type { ControlFrame, ControlWriter, PingSource } from "./PingEffects.ts"
import type { Outcome } from "./Sending.ts"

/** A link that sends control frames. */
export interface PingingLink extends TimedLink {
  readonly protocol: TimedLink["protocol"] & { ping(payload: Uint8Array): void }
  /** Runs `append` if the mark allows it. */
  append(append: () => void): Outcome
}

interface Pending {
  readonly token: Uint8Array
  readonly sentAt: number
  readonly onPong: ((roundTrip: number) => void) | undefined
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/**
 * The Pings that are remembered. One without a listener matters if it is the latest after one with
 * a listener, because its Pong settles that one too.
 */
const settleable = (pings: ReadonlyArray<Pending>): Array<Pending> | undefined => {
  const kept: Array<Pending> = []
  for (const ping of pings) {
    const last = kept[kept.length - 1]
    if (last === undefined && ping.onPong === undefined) continue
    if (last !== undefined && last.onPong === undefined && ping.onPong === undefined) kept.pop()
    kept.push(ping)
  }
  return kept.length === 0 ? undefined : kept
}

const random = new Uint32Array(1)

/** The keepalive's Ping until its Pong arrives. Most of the time a connection has none. */
class Probe {
  /** Its token, for as long as its round trip can be measured. */
  token: Uint8Array | undefined
  readonly sentAt: number
  /** No Pong has arrived yet. */
  awaited = true
  /** How long it may still take, while the timeout is suspended. */
  remaining: number | undefined
  /** When the next Ping is due if this side does not read then. */
  againAt: number
  // What the peer had sent and taken at the last look.
  private received = 0
  private taken = 0

  constructor(token: Uint8Array, link: TimedLink, againAt: number) {
    this.token = token
    this.againAt = againAt
    this.sentAt = link.deadlines.preciseNow()
    this.progressed(link)
  }

  /**
   * Whether the peer sent anything, or took a write that had to wait: its Pong may follow a large
   * message.
   */
  progressed(link: TimedLink): boolean {
    const { receivedBytes, takenWrites } = link
    const progressed = receivedBytes > this.received || takenWrites > this.taken
    this.received = receivedBytes
    this.taken = takenWrites
    return progressed
  }
}

export class Pings implements ControlObserver, KeepAlive, PingSource {
  /** When the keepalive has something to do. */
  due: number | undefined
  private readonly link: PingingLink
  private pending: Array<Pending> | undefined
  private observers: Set<(frame: ControlFrame) => void> | undefined
  private probe: Probe | undefined
  private counter = 0
  // Whole, because a fraction would take 16 bytes more in each connection.
  private lastMicros = -1

  constructor(link: PingingLink) {
    this.link = link
  }

  /** The milliseconds of the last round trip that was measured. */
  get lastRoundTrip(): number | undefined {
    return this.lastMicros < 0 ? undefined : this.lastMicros / 1000
  }

  start(now: number): void {
    const keepAlive = this.link.limits.keepAlive
    if (keepAlive !== undefined) this.due = now + keepAlive.interval
  }

  stop(): void {
    this.due = this.pending = this.probe = undefined
  }

  /** Four bytes that no earlier Ping of this connection carried, and four random ones. */
  freshToken(): Uint8Array {
    crypto.getRandomValues(random)
    const token = new Uint8Array(8)
    const view = new DataView(token.buffer)
    view.setUint32(0, this.counter++)
    view.setUint32(4, random[0])
    return token
  }

  /**
   * Sends a Ping. `onPong` gets the milliseconds until its Pong, or a later one's, arrived.
   */
  send(token: Uint8Array, onPong?: ((roundTrip: number) => void) | undefined): () => void {
    this.link.protocol.ping(token)
    if (onPong === undefined && this.pending === undefined) return () => {}
    const ping: Pending = { token: Uint8Array.from(token), sentAt: this.link.deadlines.preciseNow(), onPong }
    this.pending = settleable([...this.pending ?? [], ping])
    return () => {
      this.pending = settleable((this.pending ?? []).filter((other) => other !== ping))
    }
  }

  observe(observer: (frame: ControlFrame) => void): () => void {
    const observers = this.observers ??= new Set()
    observers.add(observer)
    return () => observers.delete(observer)
  }

  /** Sends a Ping on a connection, and waits for its Pong. */
  ping(writer: ControlWriter, token: Uint8Array | undefined) {
    return PingEffects.ping(this, writer, token)
  }

  /** The same without the wait. */
  sendPing(writer: ControlWriter, token: Uint8Array | undefined) {
    return PingEffects.sendPing(this, writer, token)
  }

  /** The control frames of a connection's peer. */
  controls(writer: ControlWriter) {
    return PingEffects.controls(this, writer)
  }

  attempt(append: () => void): Outcome {
    return this.link.append(append)
  }

  onPing(payload: Uint8Array): void {
    this.notify("ping", payload)
  }

  onPong(payload: Uint8Array): void {
    const { probe } = this
    if (probe !== undefined) this.probed(probe, payload)
    const pending = this.pending
    if (pending !== undefined) {
      // The latest that matches, because a token may be used twice.
      let at = pending.length - 1
      while (at >= 0 && !equal(pending[at].token, payload)) at--
      // A peer need answer the latest Ping only, so its Pong settles the earlier ones.
      if (at >= 0) {
        const now = this.link.deadlines.preciseNow()
        this.pending = settleable(pending.slice(at + 1))
        if (pending[at].onPong !== undefined) this.measured(now - pending[at].sentAt)
        for (const ping of pending.slice(0, at + 1)) ping.onPong?.(now - ping.sentAt)
      }
    }
    this.notify("pong", payload)
  }

  private probed(probe: Probe, payload: Uint8Array): void {
    const { link } = this
    const { token } = probe
    // Any Pong shows that the peer is there. It may be that of a later Ping, since the
    // peer need answer the latest only.
    if (probe.awaited) {
      probe.awaited = false
      this.due = link.deadlines.now() + link.limits.keepAlive!.interval
      link.updateAlarm()
    }
    if (token === undefined) {
      this.probe = undefined
    } else if (equal(token, payload)) {
      this.probe = undefined
      this.measured(link.deadlines.preciseNow() - probe.sentAt)
    }
  }

  /**
   * The timeout of the awaited Pong is suspended while this side does not read. Pings go on: to write
   * is the only way to notice that the peer has left behind bytes that are not read.
   */
  standStill(paused: boolean, now: number): void {
    const { probe } = this
    if (probe === undefined || !probe.awaited) return
    if (paused) {
      // The pause of this side does not belong to the round trip.
      probe.token = undefined
      if (this.due === undefined) return
      probe.remaining = this.due - now
      this.due = probe.againAt
    } else if (probe.remaining !== undefined) {
      this.due = now + probe.remaining
      probe.remaining = undefined
    }
  }

  onAlarm(now: number): void {
    const { link } = this
    const keepAlive = link.limits.keepAlive
    if (keepAlive === undefined || this.due === undefined || now < this.due) return
    const probe = this.probe
    if (!link.isOpen) {
      this.due = undefined
    } else if (probe === undefined || !probe.awaited) {
      const token = this.freshToken()
      this.probe = new Probe(token, link, now + keepAlive.interval)
      this.send(token)
      link.flush()
      this.due = now + keepAlive.timeout
      if (link.isPaused) this.standStill(true, now)
    } else if (probe.remaining !== undefined) {
      this.due = probe.againAt = now + keepAlive.interval
      if (link.isBlocked) return
      this.send(this.freshToken())
      link.flush()
    } else if (link.isBlocked || probe.progressed(link)) {
      // Our Ping has not left, which is the stalled-write deadline's business, or the peer
      // shows that it is there.
      this.due = now + keepAlive.timeout
    } else {
      this.due = undefined
      link.break(keepAliveTimedOut("a ping", keepAlive.timeout))
    }
  }

  private measured(roundTrip: number): void {
    this.lastMicros = Math.round(roundTrip * 1000)
    this.link.observer?.onRoundTrip(roundTrip)
  }

  private notify(type: "ping" | "pong", payload: Uint8Array): void {
    if (this.observers === undefined) return
    for (const observer of this.observers) observer({ type, payload })
  }
}
