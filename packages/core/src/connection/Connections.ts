/**
 * The open connections of a server: counted against a limit, told when the server
 * goes away, and cut when they take too long.
 */
import * as Effect from "effect/Effect"
import { addressKey, type AddressLimits } from "../rules/AddressLimits.ts"
import type { Connection } from "./Connection.ts"

export class Connections {
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

  /** How many connections are open or being opened. */
  get size(): number {
    return this.admitted
  }

  /** Whether the server shuts down, so that nobody is admitted any more. */
  get isClosing(): boolean {
    return this.closing
  }

  /**
   * Takes a place, one of the address's too; a string says why there is none. Give it back
   * by calling the result.
   */
  admit(address?: string): (() => void) | "TooManyConnections" | "TooManyFromAddress" {
    if (this.closing || this.admitted >= this.limit) return "TooManyConnections"
    const leave = this.addresses?.enter(addressKey(address ?? ""))
    if (leave === undefined && this.addresses !== undefined) return "TooManyFromAddress"
    this.admitted++
    let given = false
    return () => {
      if (given) return
      given = true
      this.admitted--
      leave?.()
    }
  }

  /** Takes a connection in, which calls `leave` once it is gone. */
  add(connection: Connection, leave: () => void): void {
    if (connection.link.gone) return leave()
    this.open.add(connection)
    connection.link.onceGone(() => {
      this.open.delete(connection)
      leave()
    })
    if (this.closing) connection.goAway(1001)
  }

  /**
   * Tells every connection 1001 at once, waits until all are gone, at most `grace`
   * milliseconds, cuts the others and returns how many those were.
   */
  shutdown(grace: number): Effect.Effect<number> {
    return Effect.suspend(() => {
      this.closing = true
      for (const connection of this.open) connection.goAway(1001)
      const allGone = Effect.suspend(() =>
        Effect.forEach([...this.open], (connection) => connection.gone, { concurrency: "unbounded", discard: true })
      )
      return Effect.flatMap(Effect.timeoutOption(allGone, grace), () => {
        const left = [...this.open]
        for (const connection of left) connection.cut("The server shut down and the peer did not close in time")
        return Effect.as(allGone, left.length)
      })
    })
  }
}
