/**
 * How long a handler goes on after its connection has ended: as long as its reader has messages
 * that arrived before the end, then for a grace, and not at all if nothing reads.
 *
 * None of this runs while a connection is open. At its end a deadline is set, and moved whenever
 * the reader moves.
 */
import * as Duration from "effect/Duration"
import type * as Fiber from "effect/Fiber"
import type { CloseInfo } from "../CloseCode.ts"
import * as Deadlines from "../runtime/Deadlines.ts"
import type { Ending } from "../protocol/Ending.ts"

/**
 * What happens to a handler whose connection has ended.
 *
 * **Details**
 *
 * - `{ grace }`, by default of 5 seconds: a handler that reads goes on until it has read all
 *   messages that arrived before the end, and after that for the grace at most; then it is
 *   interrupted. `Duration.infinity` lets it go on. A handler that reads by `receive` or by
 *   pulls has the grace for each message that it was given: whether it will come back for the
 *   next one cannot be known. A handler
 *   that never read, or whose stream of messages stopped, is interrupted as soon as the
 *   connection is closed.
 * - `"interrupt"`: it is interrupted as soon as the peer's Close, or the loss of the
 *   connection, has arrived, whatever it does.
 * - `"ignore"`: it is never interrupted.
 *
 * After a Close that this side sent first there is a grace in every case but `"ignore"`: the
 * program that called `close` can go on with what follows.
 *
 * @category models
 * @since 0.1.0
 */
export type OnDisconnect = "interrupt" | "ignore" | { readonly grace: Duration.Input }

/** {@link OnDisconnect} in numbers, made once for many connections. */
export interface Policy {
  readonly isImmediate: boolean
  readonly grace: number
}

const defaultGrace = 5000

const defaultPolicy: Policy = { isImmediate: false, grace: defaultGrace }

/** `undefined` where nothing is interrupted. */
export const makePolicy = (onDisconnect: OnDisconnect | undefined): Policy | undefined => {
  if (onDisconnect === undefined) return defaultPolicy
  if (onDisconnect === "ignore") return undefined
  if (onDisconnect === "interrupt") return { isImmediate: true, grace: defaultGrace }
  return { isImmediate: false, grace: Duration.toMillis(Duration.fromInputUnsafe(onDisconnect.grace)) }
}

/** A connection as the lifetime of its holder sees it. */
export interface EndingConnection {
  readonly link: {
    readonly deadlines: Deadlines.Deadlines
    readonly isClosing: boolean
    readonly isClosed: boolean
    readonly closeInfo: CloseInfo
    readonly hasUnread: boolean
    readonly protocol: {
      readonly ending: Ending | undefined
      readonly messages: ReadonlyArray<unknown>
      readonly inbound: { readonly receivedMessages: number }
    }
  }
  readonly reader: {
    /** A stream, or another effect that reads to the end, is the reader. */
    readonly isOwned: boolean
    readonly isReading: boolean
    readonly isWaiting: boolean
    /** The reader has reached the end. */
    readonly hasEnded: boolean
    readonly handedOut: number
  }
}

/** Holds a connection, and is interrupted when its time is over. */
export abstract class Lifetime {
  /** The next holder of the same connection. */
  next: Lifetime | undefined = undefined
  private readonly policy: Policy
  private expiry: Expiry | undefined = undefined

  constructor(policy: Policy) {
    this.policy = policy
  }

  abstract interrupt(): void

  /** The connection is closing or closed, or its reader has moved since. */
  advance(connection: EndingConnection, hasReaderMoved: boolean): void {
    this.expiry ??= new Expiry(connection, this, this.policy)
    this.expiry.advance(hasReaderMoved)
  }

  /** It does not hold the connection any more. */
  end(): void {
    this.expiry?.end()
  }
}

/** A connection that is held. */
export interface HeldConnection extends EndingConnection {
  handler: Lifetime | undefined
  others: Lifetime | undefined
}

/** The handler of a connection is interrupted when its time is over, unless it has ended before. */
export const handledBy = (connection: HeldConnection, handler: Lifetime): void => {
  connection.handler = handler
  if (connection.link.isClosing) handler.advance(connection, false)
}

/** The same for something else that runs while the connection lasts. Returns what takes that back. */
export const outlivedBy = (connection: HeldConnection, other: Lifetime): () => void => {
  other.next = connection.others
  connection.others = other
  if (connection.link.isClosing) other.advance(connection, false)
  return () => {
    other.end()
    if (connection.others === other) connection.others = other.next
    else for (let one = connection.others; one !== undefined; one = one.next) if (one.next === other) one.next = other.next
  }
}

/** The lifetime of a fiber. */
export class FiberLifetime extends Lifetime {
  /** The fiber was interrupted because the connection has ended. */
  isOver = false
  private readonly fiber: Fiber.Fiber<unknown, unknown>

  constructor(policy: Policy, fiber: Fiber.Fiber<unknown, unknown>) {
    super(policy)
    this.fiber = fiber
  }

  interrupt(): void {
    this.isOver = true
    this.fiber.interruptUnsafe()
  }
}

class Expiry extends Deadlines.Alarm {
  private readonly connection: EndingConnection
  private readonly lifetime: Lifetime
  private readonly policy: Policy
  private isScheduled = false
  private isOver = false
  // When the reader moved last, since the end was known, reached the end, and when the connection closed.
  private hasMoved = false
  private movedAt: number
  private endedAt: number | undefined = undefined
  private closedAt: number | undefined = undefined

  constructor(connection: EndingConnection, lifetime: Lifetime, policy: Policy) {
    super()
    this.connection = connection
    this.lifetime = lifetime
    this.policy = policy
    this.movedAt = connection.link.deadlines.now()
  }

  advance(hasReaderMoved: boolean): void {
    const { link, reader } = this.connection
    const now = link.deadlines.now()
    if (hasReaderMoved) {
      this.hasMoved = true
      this.movedAt = now
    }
    if (reader.hasEnded) this.endedAt ??= now
    if (link.isClosed) this.closedAt ??= now
    if (this.isScheduled || this.isOver) return
    this.isScheduled = true
    // Not within the transport's call, nor within the reader's: an interruption runs finalizers.
    link.deadlines.nextTurn(() => this.decide())
  }

  end(): void {
    this.isOver = true
    this.connection.link.deadlines.set(this, Infinity)
  }

  onAlarm(): void {
    this.decide()
  }

  private decide(): void {
    this.isScheduled = false
    if (this.isOver) return
    const { deadlines } = this.connection.link
    const due = this.dueAt
    if (due > deadlines.now()) return deadlines.set(this, due)
    this.end()
    this.lifetime.interrupt()
  }

  private get dueAt(): number {
    const { connection: { link, reader }, policy: { grace, isImmediate } } = this
    const isOurs = link.closeInfo.initiator === "local" && link.protocol.ending?._tag !== "Violation"
    if (isImmediate && !isOurs) return -Infinity
    if (this.endedAt !== undefined) return this.endedAt + grace
    if (reader.isOwned || reader.isWaiting) return Infinity
    // It may come back: for the next message, which arrived before the end, or for the end.
    if (reader.isReading) return this.movedAt + grace * Math.max(1, reader.handedOut)
    if (this.hasMoved || this.hasLeftUnread) return this.movedAt + grace
    if (this.closedAt === undefined) return Infinity
    return isOurs ? this.closedAt + grace : -Infinity
  }

  /** The reader took messages and left others. */
  private get hasLeftUnread(): boolean {
    const { hasUnread, protocol } = this.connection.link
    return hasUnread && protocol.inbound.receivedMessages > protocol.messages.length
  }
}
