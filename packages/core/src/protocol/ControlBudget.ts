/**
 * Counts the Pings and Pongs of one connection: a peer may send a limited number of them in a
 * time (RFC 6455 §10.4 leaves such limits to implementations). Each costs work and, for a Ping,
 * an answer, and no limit on messages counts them.
 *
 * A window of a fixed length begins with a frame, so the clock is read for the first frame of
 * a window and for those above the limit, not for each.
 */
import type { Limits } from "../Limits.ts"

// A frame's header, and a mask on one side (§5.2); at most 125 bytes follow (§5.5).
const headerSize = 2
const maskSize = 4

export class ControlBudget {
  /** Bytes of Pings and Pongs that were received. */
  received = 0

  private count = 0
  private since = 0
  // Pongs that the peer may still send as answers (§5.5.3: one for each Ping, or fewer).
  private owed = 0
  private readonly limits: Limits
  private readonly isServer: boolean
  private readonly clock: { readonly now: () => number } | undefined

  /** Without a clock no frame is refused. */
  constructor(
    limits: Limits,
    role: "client" | "server",
    clock: { readonly now: () => number } | undefined
  ) {
    this.limits = limits
    this.isServer = role === "server"
    this.clock = clock
  }

  /** This side has sent a Ping. */
  pinged(): void {
    // Bounded, so that a peer that does not answer cannot save up more than one window of Pongs.
    if (this.owed < this.limits.controlFrames.max) this.owed++
  }

  /** Whether a Ping with a payload of `size` bytes is within the limit. */
  admitsPing(size: number): boolean {
    this.add(size)
    return this.admits()
  }

  /** The same for a Pong. */
  admitsPong(size: number): boolean {
    this.add(size)
    if (this.owed === 0) return this.admits()
    this.owed--
    return true
  }

  private add(size: number): void {
    this.received += headerSize + (this.isServer ? maskSize : 0) + size
  }

  private admits(): boolean {
    if (this.clock === undefined) return true
    const { interval, max } = this.limits.controlFrames
    if (this.count === 0) {
      this.since = this.clock.now()
    } else if (this.count >= max) {
      const now = this.clock.now()
      if (now - this.since < interval) return false
      this.since = now
      this.count = 0
    }
    this.count++
    return this.count <= max
  }
}
