/**
 * A link in memory between two transports that behaves as networks do at their worst: it
 * chops bytes anywhere, delays them, fills up, stalls, ends one half, resets, or loses
 * everything without an error. A seed decides what it does, and it happens on Effect's
 * Clock.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Deadlines from "../runtime/Deadlines.ts"
import { portable, type Primitives } from "../Primitives.ts"
import type { Transport, TransportHandlers } from "../Transport.ts"
import { IOError } from "../WebSocketError.ts"
import { Choose } from "./Choose.ts"
import { type Mark, Wire } from "./Wire.ts"

/**
 * One end of a link, named after the role that holds it.
 *
 * @category models
 * @since 0.1.0
 */
export type Side = "client" | "server"

/**
 * What goes wrong once exactly `after` bytes sent by `from` have arrived.
 *
 * **Details**
 *
 * - `reset`: both sides see a reset; bytes under way are lost.
 * - `drop`: the connection is lost and no error is reported, as when a cable is cut: nothing
 *   arrives any more, in either direction.
 * - `halfClose`: the other side sees the end of the stream; what `from` sends later is lost.
 * - `stall`: nothing sent by `from` arrives until {@link TestLink.resume}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fault {
  readonly type: "reset" | "drop" | "halfClose" | "stall"
  readonly from: Side
  readonly after: number
}

/**
 * How a link behaves.
 *
 * **Details**
 *
 * - `seed`: decides everything that the other options leave open, such as the order of
 *   events that are due at the same moment. The same seed and the same program give the same
 *   run. Default 0.
 * - `chop`: how large the pieces are in which bytes arrive: `true` is 1 to 32 bytes, `false`
 *   (the default) leaves each write whole.
 * - `delay`: how long bytes take. They stay in order, but the two directions can overtake
 *   each other, and deadlines. Default 0: the next turn of the scheduler.
 * - `capacity`: how many bytes are under way in one direction before its sender has to wait.
 *   Default 64 KiB.
 * - `faults`: what goes wrong, and where in the stream.
 * - `chunks`: who owns the bytes that arrive, see `Transport.chunks`. Default `"scratch"`. A
 *   chunk that is not given away is overwritten after the call.
 * - `primitives`: default `Primitives.portable`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly seed?: number | undefined
  readonly chop?: boolean | { readonly min: number; readonly max: number } | undefined
  readonly delay?: Duration.Input | { readonly min: Duration.Input; readonly max: Duration.Input } | undefined
  readonly capacity?: number | undefined
  readonly faults?: ReadonlyArray<Fault> | undefined
  readonly chunks?: Transport["chunks"] | undefined
  readonly primitives?: Primitives | undefined
}

/**
 * The state of one direction: how many bytes were sent, how many have arrived, how many were
 * under way at most, and whether the sender's transport is closed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  readonly sent: number
  readonly delivered: number
  readonly mostInFlight: number
  readonly isClosed: boolean
}

/**
 * A link: the transports at its ends, and the faults that can be caused while it is in use.
 *
 * **Details**
 *
 * `reset`, `drop`, `halfClose` and `stall` cause at once what a {@link Fault} causes at a
 * point of the stream. `resume` ends a stall.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestLink {
  readonly seed: number
  readonly client: Transport
  readonly server: Transport
  readonly reset: Effect.Effect<void>
  readonly drop: Effect.Effect<void>
  readonly halfClose: (from: Side) => Effect.Effect<void>
  readonly stall: (from: Side) => Effect.Effect<void>
  readonly resume: (from: Side) => Effect.Effect<void>
  readonly stats: (from: Side) => Stats
}

/**
 * Makes a link. The end of the scope cuts it: both transports are closed.
 *
 * **When to use**
 *
 * For tests of code that uses a transport, or together with `WebSocket.make` where
 * `TestWebSocket.pair` does not offer enough.
 *
 * **Example** (A connection that is lost in the middle of a message)
 *
 * ```ts
 * import { WebSocket } from "@effect-ws/core"
 * import { TestLink } from "@effect-ws/core/testing"
 * import { Effect } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * export const test = Effect.gen(function*() {
 *   const link = yield* TestLink.make({ seed: 7, chop: true, faults: [{ type: "drop", from: "server", after: 100 }] })
 *   const server = yield* WebSocket.make(link.server, { role: "server" })
 *   const client = yield* WebSocket.make(link.client, { role: "client" })
 *   yield* server.send("x".repeat(1000))
 *   const received = yield* Effect.forkChild(Effect.flip(client.receive))
 *   yield* TestClock.adjust("1 minute") // no error is reported, so keepalive has to notice
 *   return received // IOError, phase "keepalive"
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<TestLink, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(Deadlines.current, (deadlines) => new Link(options, deadlines)),
    (link) => Effect.sync(() => link.cut(undefined))
  )

const range = (chop: Options["chop"]): { readonly min: number; readonly max: number } | undefined =>
  chop === undefined || chop === false
    ? undefined
    : chop === true
    ? { min: 1, max: 32 }
    : { min: Math.max(1, chop.min), max: Math.max(1, chop.max) }

const millis = (delay: NonNullable<Options["delay"]>): { readonly min: number; readonly max: number } => {
  if (typeof delay === "object" && "min" in delay) {
    return {
      min: Duration.toMillis(Duration.fromInputUnsafe(delay.min)),
      max: Duration.toMillis(Duration.fromInputUnsafe(delay.max))
    }
  }
  const exact = Duration.toMillis(Duration.fromInputUnsafe(delay))
  return { min: exact, max: exact }
}

/**
 * Moves what is due, one step in each turn of the scheduler. The seed chooses among several
 * possible steps.
 */
class Link extends Deadlines.Alarm implements TestLink {
  readonly seed: number
  readonly client: End
  readonly server: End

  private readonly deadlines: Deadlines.Deadlines
  private readonly choose: Choose
  private scheduled = false
  private isCut = false

  constructor(options: Options, deadlines: Deadlines.Deadlines) {
    super()
    this.seed = options.seed ?? 0
    this.deadlines = deadlines
    const choose = new Choose(this.seed)
    this.choose = choose
    const end = (side: Side): End => {
      const wire = new Wire(
        { capacity: options.capacity ?? 64 * 1024, chop: range(options.chop), delay: millis(options.delay ?? 0) },
        choose,
        (options.faults ?? []).filter(({ from }) => from === side).map((fault) => this.mark(fault))
      )
      return new End(this, wire, options.chunks ?? "scratch", options.primitives ?? portable)
    }
    this.client = end("client")
    this.server = end("server")
    this.client.other = this.server
    this.server.other = this.client
  }

  readonly reset = Effect.sync(() => this.cut(resetError()))
  readonly drop = Effect.sync(() => this.lose())
  readonly halfClose = (from: Side) => Effect.sync(() => this.endHalf(from))
  readonly stall = (from: Side) => Effect.sync(() => this.setStalled(from, true))
  readonly resume = (from: Side) => Effect.sync(() => this.setStalled(from, false))

  readonly stats = (from: Side): Stats => {
    const { isClosed, wire } = this[from]
    return { sent: wire.sent, delivered: wire.delivered, mostInFlight: wire.mostInFlight, isClosed }
  }

  now(): number {
    return this.deadlines.now()
  }

  /** Something may be possible now. */
  stir(): void {
    if (this.scheduled || this.isCut) return
    this.scheduled = true
    this.deadlines.nextTurn(this.turn)
    // A test that sets its clock forward waits for the alarms that are due, not for turns of the scheduler. With an
    // alarm, all that is possible now happens before the next deadline, so that a link without a turn is not taken for dead.
    this.deadlines.set(this, Math.min(this.isSet ? this.due : Infinity, this.now() + 1))
  }

  override onAlarm(): void {
    if (!this.isCut) this.turn()
  }

  /** Closes both transports. */
  cut(error: IOError | undefined): void {
    this.isCut = true
    this.deadlines.set(this, Infinity)
    for (const end of [this.client, this.server]) {
      end.wire.forget()
      end.close(error)
    }
  }

  private readonly turn = (): void => {
    this.scheduled = false
    if (this.isCut) return
    const now = this.now()
    for (const { wire } of [this.client, this.server]) wire.passMarks()
    const steps = [...this.client.steps(now), ...this.server.steps(now)]
    if (steps.length > 0) {
      steps[this.choose.below(steps.length)]()
      this.stir()
      return
    }
    const due = Math.min(this.client.wakesAt, this.server.wakesAt)
    this.deadlines.set(this, due > now ? due : Infinity)
  }

  private mark({ after, from, type }: Fault): Mark {
    return {
      after,
      happen: () => {
        if (type === "reset") this.cut(resetError())
        else if (type === "drop") this.lose()
        else if (type === "halfClose") {
          this[from].wire.forget()
          this.endHalf(from)
        }
        else this.setStalled(from, true)
      }
    }
  }

  private lose(): void {
    for (const { wire } of [this.client, this.server]) {
      wire.lose()
    }
  }

  private endHalf(from: Side): void {
    this[from].wire.end(this.now())
    this.stir()
  }

  private setStalled(from: Side, stalled: boolean): void {
    this[from].wire.stalled = stalled
    this.stir()
  }
}

const resetError = () => new IOError({ phase: "read", reason: "Reset", detail: "The connection was reset" })

/** One end of a link, as a transport. */
class End implements Transport {
  readonly chunks: Transport["chunks"]
  readonly primitives: Primitives
  /** What this end sends. */
  readonly wire: Wire
  other!: End
  isClosed = false

  private readonly link: Link
  private handlers: TransportHandlers | undefined
  private paused = false
  private sawEnd = false
  private ended = false
  // Closed before it was started.
  private closedWith: { readonly error: IOError | undefined } | undefined

  constructor(link: Link, wire: Wire, chunks: Transport["chunks"], primitives: Primitives) {
    this.link = link
    this.wire = wire
    this.chunks = chunks
    this.primitives = primitives
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers
    this.link.stir()
    const closedWith = this.closedWith
    if (closedWith !== undefined) handlers.onClosed(closedWith.error)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.link.stir()
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.ended || this.isClosed) throw new Error("a write after the end of the stream")
    if (this.wire.blocked) throw new Error("a write before the last one was taken")
    this.wire.write(chunks, this.link.now())
    this.wire.blocked = !this.wire.hasRoom
    this.link.stir()
    return !this.wire.blocked
  }

  pendingBytes(): number {
    return this.wire.pendingBytes
  }

  end(): void {
    if (this.ended || this.isClosed) return
    this.ended = true
    this.wire.end(this.link.now())
    this.link.stir()
  }

  destroy(): void {
    if (this.isClosed) return
    this.wire.end(this.link.now())
    this.link.stir()
    this.close(undefined)
  }

  close(error: IOError | undefined): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.handlers === undefined) this.closedWith = { error }
    else this.handlers.onClosed(error)
  }

  /** When the next bytes under way arrive here. */
  get wakesAt(): number {
    return this.isClosed || this.canRead ? this.other.wire.nextDue : Infinity
  }

  private get canRead(): boolean {
    return this.handlers !== undefined && !this.paused && !this.sawEnd
  }

  /** What can happen to this end now. */
  *steps(now: number): Generator<() => void> {
    const incoming = this.other.wire
    if (incoming.nextDue <= now && (this.isClosed || this.canRead)) yield () => this.arrive(now)
    if (this.wire.blocked && this.wire.hasRoom && !this.isClosed) {
      yield () => {
        this.wire.blocked = false
        this.handlers!.onTaken()
      }
    }
    // Both halves have ended, and the peer has seen it.
    if (!this.isClosed && this.ended && this.sawEnd && this.wire.isEmpty) yield () => this.close(undefined)
  }

  private arrive(now: number): void {
    const arrived = this.other.wire.take(now)
    if (this.isClosed) {
      // This end is closed: the sender sees a reset.
      if (arrived !== "end") this.other.close(resetError())
    } else if (arrived === "end") {
      this.sawEnd = true
      this.handlers!.onEnd()
    } else {
      this.handlers!.onData(arrived)
      if (this.chunks !== "owned") arrived.fill(0xee)
    }
  }
}
