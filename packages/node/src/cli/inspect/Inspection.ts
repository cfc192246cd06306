/**
 * All connections of an inspection, live or recorded: turns events into observations.
 */
import { ConnectionWatch } from "./ConnectionWatch.ts"
import type { Seen } from "./FrameWatch.ts"
import type { Observation } from "./Observation.ts"
import type { Event } from "./Recording.ts"

export class Inspection {
  private readonly watches = new Map<number, ConnectionWatch>()
  private readonly ended = new Map<number, number>()

  take(event: Event): ReadonlyArray<Observation> {
    const { at, connection, from } = event
    const watch = this.watches.get(connection) ?? new ConnectionWatch()
    this.watches.set(connection, watch)
    const seen = (): ReadonlyArray<Seen> => {
      switch (event.event) {
        case "head":
          return [watch.head(from, { start: event.start, headers: event.headers })]
        case "bytes":
          return watch.bytes(from, Buffer.from(event.base64, "base64"))
        case "end":
          return watch.end(from, event.how)
      }
    }
    const observations = seen().map(({ broken, what }): Observation => ({ connection, at, from, what, broken }))
    if (event.event === "end") this.forget(connection)
    return observations
  }

  /** After both directions have ended there are no more events. */
  private forget(connection: number): void {
    const ends = (this.ended.get(connection) ?? 0) + 1
    this.ended.set(connection, ends)
    if (ends < 2) return
    this.ended.delete(connection)
    this.watches.delete(connection)
  }
}
