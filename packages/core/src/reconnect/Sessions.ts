/**
 * The connections of a client, one after the other, seen from outside: who reads them, and who waits
 * for the next one. Plain synchronous state; only the client's own fiber adds to it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { WebSocket } from "../WebSocket.ts"
import type { IOError, ProtocolError } from "../WebSocketError.ts"

/** One connection of the client. */
export class Session {
  readonly ws: WebSocket
  /** Nothing can be sent on it any more. */
  isOver = false
  /** How many messages were sent on it, and how many of them its transport is known to have taken. */
  sent = 0
  taken = 0
  /** All of its messages have been read. */
  isRead = false
  /** What its reader failed with. */
  failure: ProtocolError | IOError | undefined

  constructor(ws: WebSocket) {
    this.ws = ws
  }
}

/** How a client ended: by an error, or `undefined` where the program closed it. */
export type End<E> = Cause.Cause<E> | undefined

export class Sessions<E> {
  /** The one that is open. */
  current: Session | undefined
  /** A lost one with messages that its reader has not reached. */
  old: Session | undefined
  isReading = false
  // There is or was a reader, so the messages of a lost connection are kept for the next one.
  private isWanted = false
  private ending: { readonly end: End<E> } | undefined
  private readonly waiting = new Set<() => void>()

  get hasEnded(): boolean {
    return this.ending !== undefined
  }

  /** Why it ended. */
  get end(): End<E> {
    return this.ending?.end
  }

  open(session: Session): void {
    this.current = session
    this.changed()
  }

  /**
   * Waits until the reader has reached the current session: at most one more is kept for it, which bounds
   * what a reader that does not read holds.
   */
  get mayLeave(): Effect.Effect<unknown> {
    return this.until(() => this.old === undefined || !this.isReading ? true : undefined)
  }

  /** The current session was lost. What it received before can still be read. */
  leave(session: Session): void {
    this.current = undefined
    if (this.isWanted && !session.isRead) this.old = session
    this.changed()
  }

  startReading(): void {
    this.isReading = this.isWanted = true
  }

  /** The reader has reached the end of a session. */
  wasRead(session: Session): void {
    session.isRead = true
    if (this.old === session) this.old = undefined
    this.changed()
  }

  /** The reader stopped; what it left goes to the next reader. */
  stopReading(): void {
    this.isReading = false
    this.changed()
  }

  finish(end: End<E>): void {
    this.ending ??= { end }
    this.current = undefined
    this.changed()
  }

  /** The session whose messages are next; done, or failed, when there are no more. */
  get toRead(): Session | Cause.Cause<E | Cause.Done> | undefined {
    if (this.old !== undefined) return this.old
    if (this.current !== undefined && !this.current.isRead) return this.current
    return this.ending === undefined ? undefined : this.ending.end ?? Cause.fail(Cause.Done())
  }

  /** Waits until `look` finds something, in the order in which the waits began. */
  until<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const found = look()
      if (found !== undefined) return resume(Effect.succeed(found))
      const again = () => {
        const found = look()
        if (found === undefined) return
        this.waiting.delete(again)
        resume(Effect.succeed(found))
      }
      this.waiting.add(again)
      return Effect.sync(() => this.waiting.delete(again))
    })
  }

  private changed(): void {
    for (const again of Array.from(this.waiting)) if (this.waiting.has(again)) again()
  }
}
