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
  /** The connection has accepted it. */
  readonly accepted?: (() => void) | undefined
}

export class Link {
  readonly ws: WebSocket
  private readonly outbox: Array<Outgoing> = []
  // Signals of which only the last one of each topic counts.
  private readonly latest = new Map<string, string>()
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
    while (this.outbox.length > 0) {
      if (this.outbox[0].isWanted?.() !== false) return this.outbox[0]
      this.outbox.shift()
    }
    for (const text of this.latest.values()) return { text }
    return undefined
  }

  private taken(outgoing: Outgoing): void {
    if (outgoing === this.outbox[0]) this.outbox.shift()
    else for (const name of this.latest.keys()) {
      this.latest.delete(name)
      break
    }
    outgoing.accepted?.()
  }

  /** Sends for as long as there is room on the connection. */
  private send(): void {
    if (this.blocked.isOpen()) return
    for (let outgoing = this.next(); outgoing !== undefined; outgoing = this.next()) {
      if (!this.ws.offerUnsafe(outgoing.text)) {
        this.blocked.openUnsafe()
        return
      }
      this.taken(outgoing)
    }
  }

  /** Sends what there was no room for, until the connection ends. */
  readonly run: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    while (true) {
      yield* this.blocked.await
      const outgoing = this.next()
      if (outgoing !== undefined) {
        const exit = yield* Effect.exit(this.ws.send(outgoing.text))
        if (Exit.isFailure(exit)) return
        this.taken(outgoing)
      }
      this.blocked.closeUnsafe()
      this.send()
    }
  })
}
