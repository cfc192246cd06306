/**
 * The open connections of a server: counted against a limit, and closed when the server
 * ends.
 */
import * as Effect from "effect/Effect"
import type { CloseWith } from "../CloseCode.ts"
import type { Connection } from "../connection/Connection.ts"
import type { LinkHooks, LinkOwner } from "../connection/LinkHooks.ts"
import { addressKey, type AddressLimits } from "./AddressLimits.ts"
import { type LastWord, type Leaving, makePolicy, type Policy, shutdown, type ShutdownReport } from "./Shutdown.ts"

/** A place among the connections of a server. It is left once. */
export interface Place extends LinkOwner {
  readonly table: ConnectionTable
  leave(): void
}

/**
 * The open connections of a server, as an HTTP server sees them.
 *
 * **When to use**
 *
 * To implement an HTTP server: make them by `WebSocketServer.makeConnections`, offer them
 * by `WebSocketServer.Upgrades`, and run `shutdown` when the server ends.
 *
 * **Details**
 *
 * - `size`: how many connections are open or being opened.
 * - `isClosing`: `shutdown` has begun, so no connection is admitted any more.
 * - `shutdown`: ends all connections as `WebSocketServer.ShutdownOptions` says, waits until they are
 *   released, and reports how they ended. Run it once.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenConnections {
  readonly size: number
  readonly isClosing: boolean
  readonly shutdown: Effect.Effect<ShutdownReport>
}

export class ConnectionTable implements OpenConnections, Place, Leaving {
  private readonly open = new Set<Connection>()
  private admitted = 0
  private readonly limit: number
  /** The limits of one address, if there are any. */
  readonly addresses: AddressLimits | undefined
  private readonly policy: Policy
  // Effects of the few handlers that asked to learn of the server's end, by connection.
  private readonly lastWords = new Map<Connection, Array<LastWord>>()
  // Once the server ends: the connections whose turn has come, and how many have been released.
  private told: Set<Connection> | undefined
  private goneSince = 0
  private onEmpty: (() => void) | undefined

  constructor(limit: number, addresses?: AddressLimits, policy: Policy = makePolicy()) {
    this.limit = limit
    this.addresses = addresses
    this.policy = policy
  }

  get table(): this {
    return this
  }

  get size(): number {
    return this.admitted
  }

  get isClosing(): boolean {
    return this.told !== undefined
  }

  /** Takes a place, and one of the address. A string says why there is none. */
  admit(address?: string): Place | "TooManyConnections" | "TooManyFromAddress" {
    if (this.isClosing || this.admitted >= this.limit) return "TooManyConnections"
    if (this.addresses === undefined) {
      // One object for all: an idle connection holds no place of its own.
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

  /** Adds a connection, which leaves its place once it is released. */
  add(connection: Connection, place: Place): void {
    const { link } = connection
    if (link.gone) return place.leave()
    this.open.add(connection)
    link.owner = place
    if (this.told === undefined) return
    this.told.add(connection)
    connection.goAway(this.policy.code, this.policy.reason)
  }

  onGone(hooks: LinkHooks): void {
    const connection = hooks as Connection
    this.open.delete(connection)
    this.lastWords.delete(connection)
    this.leave()
    if (this.told === undefined) return
    this.told.delete(connection)
    this.goneSince++
    if (this.open.size === 0) this.onEmpty?.()
  }

  closeWith(hooks: LinkHooks): CloseWith | undefined {
    return this.told?.has(hooks as Connection) === true ? this.policy : undefined
  }

  /** Adds an effect that runs before the Close of a connection. Returns what removes it. */
  onGoingAway(connection: Connection, word: LastWord): () => void {
    const words = this.lastWords.get(connection)
    if (words === undefined) this.lastWords.set(connection, [word])
    else words.push(word)
    return () => {
      const words = this.lastWords.get(connection) ?? []
      if (words.includes(word)) words.splice(words.indexOf(word), 1)
      if (words.length === 0) this.lastWords.delete(connection)
    }
  }

  get shutdown(): Effect.Effect<ShutdownReport> {
    return shutdown(this, this.policy)
  }

  begin(): ReadonlyArray<Connection> {
    this.told ??= new Set()
    return [...this.open]
  }

  tell(connection: Connection): ReadonlyArray<LastWord> {
    if (!this.open.has(connection)) return []
    this.told?.add(connection)
    return [...this.lastWords.get(connection) ?? []]
  }

  gone(): number {
    return this.goneSince
  }

  left(): ReadonlyArray<Connection> {
    return [...this.open]
  }

  get empty(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.open.size === 0) return resume(Effect.void)
      this.onEmpty = () => resume(Effect.void)
    })
  }
}

class AddressPlace implements Place {
  readonly table: ConnectionTable
  private readonly leaveAddress: () => void

  constructor(table: ConnectionTable, leaveAddress: () => void) {
    this.table = table
    this.leaveAddress = leaveAddress
  }

  leave(): void {
    this.table.leave()
    this.leaveAddress()
  }

  closeWith(hooks: LinkHooks): CloseWith | undefined {
    return this.table.closeWith(hooks)
  }

  onGone(hooks: LinkHooks): void {
    this.table.onGone(hooks)
    this.leaveAddress()
  }
}

/** The table of a connection, if it is a server's and open. */
export const tableOf = ({ link: { owner } }: Connection): ConnectionTable | undefined =>
  owner instanceof ConnectionTable || owner instanceof AddressPlace ? owner.table : undefined
