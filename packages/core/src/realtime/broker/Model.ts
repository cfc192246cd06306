/** What a broker takes and answers. */

/** Where a publication stands in its topic. */
export interface Position {
  readonly epoch: string
  readonly offset: number
}

/** A publication as a broker keeps it. */
export interface Entry {
  readonly offset: number
  /** What the publisher named it; unique for as long as the broker remembers the key. */
  readonly key: string
  /** JSON text. */
  readonly payload: string
}

/** How much of a topic is kept. Times are milliseconds. */
export interface History {
  readonly size: number
  readonly timeToLive: number
  readonly keyTimeToLive: number
}

/** The answer to `publish`. */
export interface Published {
  readonly position: Position
  readonly duplicate: boolean
}

/** The answer to `read`. */
export interface Read {
  readonly epoch: string
  readonly entries: ReadonlyArray<Entry>
  readonly oldest: number
  readonly top: number
}

/** What a broker tells of the topics to which the process is subscribed. */
export type Heard =
  | { readonly _tag: "Published"; readonly topic: string; readonly epoch: string; readonly entry: Entry }
  | { readonly _tag: "Signalled"; readonly topic: string; readonly from: string; readonly payload: string }
  | { readonly _tag: "MembersChanged"; readonly topic: string }
  | { readonly _tag: "Missed"; readonly topic: string | undefined }

/** One connection's presence in a topic. */
export interface Presence {
  readonly id: string
  readonly member: string
  readonly payload: string
}

/** The answer to `members`. */
export interface Members {
  readonly count: number
  readonly members: ReadonlyArray<Presence>
}
