/**
 * The open connections of a server: counted against a limit, told when the server
 * goes away, and cut when they take too long.
 */
import * as Effect from "effect/Effect"
import { addressKey, type AddressLimits } from "./AddressLimits.ts"
import type { Connection } from "../connection/Connection.ts"
import type { LinkHooks, LinkOwner } from "../connection/LinkHooks.ts"
import * as Deadlines from "../runtime/Deadlines.ts"

/** A place among the connections of a server, until it is left once. */
export interface Place extends LinkOwner {
  leave(): void
}

/**
 * The open connections of a server, as an HTTP server sees them.
 *
 * **When to use**
 *
 * To implement an HTTP server: make them by `WebSocketServer.makeConnections`, offer them
 * by `WebSocketServer.Upgrades`, and end them by `shutdown` when the server ends.
 *
 * **Details**
 *
 * - `size`: how many connections are open or being opened.
 * - `isClosing`: `shutdown` has begun, so nobody is admitted any more.
 * - `shutdown`: closes all connections with 1001 at once, waits until all are gone, at most
 *   `grace` milliseconds, cuts the others and returns how many those were.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenConnections {
  readonly size: number
  readonly isClosing: boolean
  readonly shutdown: (grace: number) => Effect.Effect<number>
}

export class ConnectionTable implements OpenConnections, Place {
  private readonly open = new Set<Connection>()
  private admitted = 0
  private closing = false
  private readonly limit: number
  /** What one address may take, if that is limited. */
  readonly addresses: AddressLimits | undefined

  constructor(limit: number, addresses?: AddressLimits) {
    this.limit = limit
    this.addresses = addresses
  }

  get size(): number {
    return this.admitted
  }

  get isClosing(): boolean {
    return this.closing
  }

  /** Takes a place, one of the address's too; a string says why there is none. */
  admit(address?: string): Place | "TooManyConnections" | "TooManyFromAddress" {
    if (this.closing || this.admitted >= this.limit) return "TooManyConnections"
    if (this.addresses === undefined) {
      // One for all: an idle connection holds no place of its own.
      this.admitted++
      return this
    }
    const leave = this.addresses.enter(addressKey(address ?? ""))
    if (leave === undefined) return "TooManyFromAddress"
    this.admitted++
    return new AddressPlace(this, leave)
  }

  leave(): void {
    this.admitted--
  }

  /** Takes a connection in, which leaves its place once it is gone. */
  add(connection: Connection, place: Place): void {
    const { link } = connection
    if (link.gone) return place.leave()
    this.open.add(connection)
    link.owner = place
    if (this.closing) connection.goAway(1001)
  }

  onGone(hooks: LinkHooks): void {
    this.open.delete(hooks as Connection)
    this.leave()
  }

  shutdown(grace: number): Effect.Effect<number> {
    return Effect.suspend(() => {
      this.closing = true
      for (const connection of this.open) connection.goAway(1001)
      const allGone = Effect.suspend(() =>
        Effect.forEach([...this.open], (connection) => connection.gone, { concurrency: "unbounded", discard: true })
      )
      return Effect.flatMap(Deadlines.timeoutOption(allGone, grace), () => {
        const left = [...this.open]
        for (const connection of left) connection.cut("The server shut down and the peer did not close in time")
        return Effect.as(allGone, left.length)
      })
    })
  }
}

class AddressPlace implements Place {
  private readonly connections: ConnectionTable
  private readonly leaveAddress: () => void

  constructor(connections: ConnectionTable, leaveAddress: () => void) {
    this.connections = connections
    this.leaveAddress = leaveAddress
  }

  leave(): void {
    this.connections.leave()
    this.leaveAddress()
  }

  onGone(hooks: LinkHooks): void {
    this.connections.onGone(hooks)
    this.leaveAddress()
  }
}
