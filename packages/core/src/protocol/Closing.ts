/**
 * How a connection ends (RFC 6455 §7), as a state machine without I/O and without a clock:
 * events go in, with the time at which they happened, and {@link Closing.next} says what to
 * do.
 *
 * ```text
 *  open ──► wanted ──► sent ──► written ──► answered ──► (server: end) ──► peer ended ──► destroy
 *                                  │            ▲
 *                                  └► unanswered: end, read and drop until the peer ends
 * ```
 *
 * The deadline measures silence: every sign of life of the peer (bytes that it takes, bytes
 * that it sends) starts it anew. All of closing has an upper bound, so that a peer that
 * trickles cannot hold a connection for ever.
 */

/** How long closing may take, in milliseconds. */
export interface Patience {
  /** How long the peer may be silent. */
  readonly silence: number
  /** How long all of closing may take. */
  readonly bound: number
}

/** A machine without a clock waits for the peer without a limit. */
export const patient: Patience = { silence: Infinity, bound: Infinity }

/**
 * What to do next:
 *
 * - `"force"`: send the Close now, although senders still wait for their turn;
 * - `"giveUp"`: stop waiting for the peer to take what was sent; closing continues;
 * - `"unanswered"`: the peer did not answer the Close in time: the closing handshake has failed;
 * - `"end"`: send the end of the stream (half-close);
 * - `"destroy"`: drop the transport;
 * - `"nothing"`: wait for the next event, or for {@link Closing.due}.
 *
 * All but `"nothing"` are returned once.
 */
export type Step = "nothing" | "force" | "giveUp" | "unanswered" | "end" | "destroy"

export class Closing {
  /** The peer's stream has ended. */
  hasPeerEnded = false
  /** Our stream has ended too: the transport is half-closed, or about to be destroyed. */
  hasEnded = false
  /** The peer did not answer our Close in time: what it still sends is read and dropped. */
  isUnanswered = false
  /** The peer took nothing for so long that nothing waits for it any more. */
  isGivenUp = false
  /** The transport has taken everything, our Close included. */
  isWritten = false

  readonly #role: "client" | "server"
  readonly #patience: Patience
  #received: "Close" | "Violation" | undefined
  #isSent = false
  #isForced = false
  #isDestroyed = false
  // When closing began: a Close was wanted or sent.
  #since: number | undefined
  // When our Close began to wait for its turn, and when the peer was last heard of.
  #wantedAt: number | undefined
  #quietSince = 0
  // A call of `close` waits for all of this. It has one deadline, whatever it waits for first.
  #isCalled = false

  constructor(role: "client" | "server", patience: Patience) {
    this.#role = role
    this.#patience = patience
  }

  /**
   * A Close is wanted but cannot be sent yet: senders wait for their turn, or the reader has
   * not reached the peer's Close. `called`: this side called `close`.
   */
  want(now: number, called: boolean): void {
    if (this.#isSent) return
    if (this.#wantedAt === undefined || (called && !this.#isCalled)) {
      this.#wantedAt = this.#quietSince = now
      this.#isForced = false
    }
    this.#isCalled ||= called
    this.#since ??= now
  }

  /** Our Close is appended to the output. */
  sent(now: number): void {
    if (this.#isSent) return
    this.#isSent = true
    if (!this.#isCalled) this.#quietSince = now
    this.#since ??= now
  }

  /** The transport has taken everything, our Close included. */
  written(): void {
    if (this.#isSent) this.isWritten = true
  }

  /** The peer's Close was read, or it broke a rule. */
  receivedEnding(what: "Close" | "Violation"): void {
    this.#received ??= what
  }

  /** The peer's stream has ended. */
  peerEnded(): void {
    this.hasPeerEnded = true
  }

  /** The peer took bytes, or sent some. */
  alive(now: number): void {
    this.#quietSince = now
  }

  /** The transport was dropped, whatever was to come: nothing is left to do. */
  dropped(): void {
    this.#isDestroyed = this.hasEnded = true
  }

  /** When to call {@link next} again, if nothing happens before. */
  get due(): number {
    if (this.#isDestroyed || this.#since === undefined) return Infinity
    const { silence } = this.#patience
    if (!this.#isSent) return this.#isForced || this.#wantedAt === undefined ? Infinity : this.#wantedAt + silence
    const bound = this.#since + this.#patience.bound
    const isWaiting = this.isWritten ? this.#received !== undefined || !this.isUnanswered : !this.isGivenUp || this.#isDeaf
    return isWaiting ? Math.min(bound, this.#quietSince + silence) : bound
  }

  /** What to do now. Call it until it returns `"nothing"`. */
  next(now: number): Step {
    if (this.#isDestroyed || this.#since === undefined) return "nothing"
    if (!this.#isSent) return this.#beforeSent(now)
    const isOver = now - this.#since >= this.#patience.bound
    const isQuiet = now - this.#quietSince >= this.#patience.silence
    if (!this.isWritten) {
      if (isOver || (isQuiet && this.#isDeaf)) return this.#destroy()
      if (!isQuiet || this.isGivenUp) return "nothing"
      this.isGivenUp = true
      return "giveUp"
    }
    // Both sides have ended: §7.1.1.
    if (this.hasPeerEnded) return this.#destroy()
    if (!this.hasEnded && this.#endsFirst) {
      this.hasEnded = true
      return "end"
    }
    if (isOver) return this.#destroy()
    if (!isQuiet) return "nothing"
    // The handshake is done, and only the end of the peer's stream is missing.
    if (this.#received !== undefined) return this.#destroy()
    if (this.isUnanswered) return "nothing"
    this.isUnanswered = true
    return "unanswered"
  }

  /**
   * Whether the peer sent both its Close and the end of its stream: it drops what it still reads.
   * A transport whose writes stall from then on may be closed already, and some cannot report it.
   */
  get #isDeaf(): boolean {
    return this.#received === "Close" && this.hasPeerEnded
  }

  #beforeSent(now: number): Step {
    if (this.#isForced || this.#wantedAt === undefined || now - this.#wantedAt < this.#patience.silence) return "nothing"
    this.#isForced = true
    return "force"
  }

  /**
   * Whether this side ends its stream before the peer does. RFC 6455 §7.1.1: the server closes
   * TCP first, so that the peer keeps no port in TIME_WAIT; a client does so where the server
   * broke a rule (§7.1.7), or does not answer.
   */
  get #endsFirst(): boolean {
    return this.isUnanswered || this.#received === "Violation" || (this.#received === "Close" && this.#role === "server")
  }

  #destroy(): Step {
    this.dropped()
    return "destroy"
  }
}
