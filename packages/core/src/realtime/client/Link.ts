/** What goes out on one connection: anything may be added at once, and one fiber waits for the connection to take it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type { WebSocket } from "../../WebSocket.ts"

/** A message that waits to be sent. */
export interface Outgoing {
  readonly text: string
  /** Whether it is still to be sent. */
  readonly isWanted?: (() => boolean) | undefined
  /** It is given to the connection: from now on it may arrive. */
  readonly given?: (() => void) | undefined
}

export class Link {
  readonly ws: WebSocket
  private readonly outbox: Array<Outgoing> = []
  // Signals, of which only the last one of each topic counts.
  private readonly latest = new Map<string, string>()
  // The next one, for which there was no room.
  private held: Outgoing | undefined
  private readonly blocked = Latch.makeUnsafe()

  constructor(ws: WebSocket) {
    this.ws = ws
  }

  /** Sends a message behind all others. */
  push(outgoing: Outgoing): void {
    this.outbox.push(outgoing)
    this.send()
  }

  /** Sends what passes by. What waits under the same name is forgotten. */
  pass(name: string, text: string): void {
    this.latest.delete(name)
    this.latest.set(name, text)
    this.send()
  }

  private next(): Outgoing | undefined {
    const { held, latest, outbox } = this
    this.held = undefined
    if (held !== undefined && held.isWanted?.() !== false) return held
    for (let outgoing = outbox.shift(); outgoing !== undefined; outgoing = outbox.shift()) {
      if (outgoing.isWanted?.() !== false) return outgoing
    }
    for (const [name, text] of latest) {
      latest.delete(name)
      return { text }
    }
    return undefined
  }

  /** Sends for as long as there is room on the connection. */
  private send(): void {
    if (this.blocked.isOpen()) return
    for (let outgoing = this.next(); outgoing !== undefined; outgoing = this.next()) {
      if (!this.ws.offerUnsafe(outgoing.text)) {
        this.held = outgoing
        this.blocked.openUnsafe()
        return
      }
      outgoing.given?.()
    }
  }

  /** Sends what there was no room for, until the connection ends. */
  readonly run: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    while (true) {
      yield* this.blocked.await
      const outgoing = this.next()
      if (outgoing !== undefined) {
        outgoing.given?.()
        const exit = yield* Effect.exit(this.ws.send(outgoing.text))
        if (Exit.isFailure(exit)) return
      }
      this.blocked.closeUnsafe()
      this.send()
    }
  })
}
