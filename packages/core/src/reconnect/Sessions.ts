/**
 * The connections of a client, one after the other, with their reader and the senders that wait for the
 * next one. It is plain synchronous state; only the client's own fiber adds connections.
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
  /** The error with which its reader failed. */
  failure: ProtocolError | IOError | undefined

  constructor(ws: WebSocket) {
    this.ws = ws
  }
}

/** How many lost sessions are kept for the reader. Each holds the unread messages of a connection. */
const mostLost = 8

/** How a client ended: by an error, or `undefined` if the program closed it. */
export type End<E> = Cause.Cause<E> | undefined

export class Sessions<E> {
  /** The one that is open. */
  current: Session | undefined
  // Lost sessions with messages that the reader has not reached, in order.
  private readonly lost: Array<Session> = []
  isReading = false
  // The session that is being read.
  private reading: Session | undefined
  // How many senders wait for a session.
  private awaiting = 0
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
   * Whether another session may follow. The next one waits for a reader that is far behind, unless a
   * sender waits for it: that sender may be the reader.
   */
  get hasRoom(): boolean {
    return this.lost.length < mostLost || !this.isReading || this.awaiting > 0
  }

  /** Waits until another session may follow. */
  get room(): Effect.Effect<unknown> {
    return this.until(() => this.hasRoom ? true : undefined)
  }

  /**
   * The current session was lost. The messages that it received before can still be read. Returns a session
   * to drop, if there is one too many or if this one has no unread messages.
   */
  leave(session: Session, hasUnread: boolean): Session | undefined {
    const { lost, reading } = this
    this.current = undefined
    let abandoned: Session | undefined
    if (this.isWanted && !session.isRead) {
      if (hasUnread || session === reading) lost.push(session)
      else abandoned = session
      if (lost.length > mostLost) abandoned = lost.splice(lost[0] === reading ? 1 : 0, 1)[0]
    }
    this.changed()
    return abandoned
  }

  startReading(): void {
    this.isReading = this.isWanted = true
  }

  /** The reader has reached the end of a session. */
  wasRead(session: Session): void {
    session.isRead = true
    this.reading = undefined
    if (this.lost[0] === session) this.lost.shift()
    this.changed()
  }

  /** The reader stopped. The messages that it left are for the next reader. */
  stopReading(): void {
    this.isReading = false
    this.reading = undefined
    this.changed()
  }

  finish(end: End<E>): void {
    this.ending ??= { end }
    this.current = undefined
    this.changed()
  }

  /** Waits for the session whose messages are next, and notes that the reader is there; done, or failed, when there are no more. */
  get toRead(): Effect.Effect<Session | Cause.Cause<E | Cause.Done>> {
    return this.until<Session | Cause.Cause<E | Cause.Done>>(() => {
      const { current, ending, lost } = this
      const session = lost.length > 0 ? lost[0] : current?.isRead === false ? current : undefined
      if (session !== undefined) return this.reading = session
      return ending === undefined ? undefined : ending.end ?? Cause.fail(Cause.Done())
    })
  }

  /** Waits until there is a session to send on; `undefined` when there are no more. */
  get toSend(): Effect.Effect<Session | undefined> {
    const found = this.until(() =>
      this.hasEnded ? "ended" : this.current?.isOver === false ? this.current : undefined
    )
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        this.awaiting++
        this.changed()
      }),
      () => Effect.map(found, (found) => found === "ended" ? undefined : found),
      () => Effect.sync(() => {
        this.awaiting--
      })
    )
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
