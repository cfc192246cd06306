/**
 * One reader of a topic: where it is, and a bounded queue of what it has not taken yet. It accepts the publication behind the last one and no
 * other, so that its queue is the log, or says where it is not.
 */
import type * as Cause from "effect/Cause"
import * as Queue from "effect/Queue"
import type * as Schema from "effect/Schema"
import type { Position } from "../Broker.ts"
import { count } from "../telemetry/Meter.ts"
import type { GapFields, Subscribed } from "../wire/Messages.ts"
import type { Counts } from "./Counts.ts"
import { Retries } from "./Errors.ts"
import { finish } from "./Finish.ts"

type Answer = typeof Subscribed.Type
export type GapOf = typeof GapFields.Type

export interface SnapshotItem {
  readonly position: Position
  readonly value: Schema.Json
}

/** What a reader takes, not decoded yet. */
export type Item =
  | { readonly _tag: "Publication"; readonly epoch: string; readonly offset: number; readonly key: string; readonly value: Schema.Json }
  | {
    readonly _tag: "Subscribed"
    readonly position: Position
    readonly top: number
    readonly gap: GapOf | undefined
    readonly snapshot: SnapshotItem | undefined
  }
  | { readonly _tag: "Gap"; readonly gap: GapOf; readonly snapshot: SnapshotItem | undefined }
  | { readonly _tag: "Snapshot"; readonly snapshot: SnapshotItem }

export type PublicationItem = Extract<Item, { _tag: "Publication" }>

/** Where a reader begins: behind a position, at the oldest that is kept, or at the top. */
export type Since = Position | "start" | undefined

/** Whether a server went back in an epoch: what the reader has is no longer there. */
const wentBack = (gap: GapOf | undefined): boolean =>
  gap !== undefined && gap.from.epoch === gap.to.epoch && gap.to.offset < gap.from.offset

export class Reader<E> {
  readonly queue: Queue.Queue<Item, E | Cause.Done>
  readonly since: Since
  /** The last publication that is in the queue, or was; `undefined` until the topic has answered. */
  position: Position | undefined
  /** It is to be asked for: it is new, something is missing, or it has been behind. */
  needsAsk = true
  /** The answer that it waits for. */
  ask: number | undefined
  /** Its queue was full, so nothing more is queued until it has taken everything. */
  isBehind = false
  /** Its snapshot could not be had, and is asked for again a little later: it is not asked for meanwhile. */
  isResting = false
  /** How often its snapshot could not be had. */
  readonly retries = new Retries()
  /** A snapshot is to come before anything else. */
  wantsSnapshot: boolean
  private readonly usesSnapshots: boolean
  private readonly counts: Counts
  private isHeld = false
  // Where it asked for what is missing. If the answer brings the same hole again, it is a gap.
  private rereadAt: Position | undefined

  constructor(queue: Queue.Queue<Item, E | Cause.Done>, since: Since, usesSnapshots: boolean, counts: Counts) {
    this.queue = queue
    this.since = since
    this.usesSnapshots = usesSnapshots
    this.counts = counts
    // From a position it goes on without one.
    this.wantsSnapshot = usesSnapshots && (since === undefined || since === "start")
  }

  /** The position that a subscription for this reader begins at. What is in a snapshot it does not need. */
  get from(): Since {
    return this.wantsSnapshot ? undefined : this.position ?? this.since
  }

  /** Whether it is to get publications now. */
  get isActive(): boolean {
    return !this.isBehind && !this.isResting
  }

  /** Takes a publication, ignores one that it has, and asks for those between. */
  publication(item: PublicationItem): void {
    const { position } = this
    if (position === undefined || this.isBehind || this.isHeld) return
    if (item.epoch === position.epoch) {
      if (item.offset <= position.offset) return
      if (item.offset === position.offset + 1) {
        this.add(item, item)
        return
      }
    }
    if (this.needsAsk || this.ask !== undefined) return
    if (this.rereadAt === position) {
      const reason = item.epoch === position.epoch ? "history" : "epoch"
      if (this.gapped({ reason, from: position, to: { epoch: item.epoch, offset: item.offset - 1 } }, undefined)) this.add(item, item)
      return
    }
    this.rereadAt = position
    this.needsAsk = true
  }

  /** The subscription lost publications. */
  gap(gap: GapOf): void {
    const { position } = this
    if (position === undefined || this.isBehind) return
    const { to } = gap
    if (to.epoch === position.epoch && to.offset <= position.offset && !wentBack(gap)) return
    if (this.gapped({ reason: gap.reason, from: position, to }, undefined) && this.usesSnapshots) this.hold()
  }

  /** The subscription stands. `asked`: a snapshot was asked for. */
  subscribed(answer: Answer, asked: boolean): void {
    this.ask = undefined
    if (this.isBehind) return
    const { since, usesSnapshots, wantsSnapshot } = this
    const from = this.position ?? (since === "start" ? undefined : since)
    const snapshot = wantsSnapshot ? answer.snapshot : undefined
    // Of one who waits for a snapshot the gap is known already, unless the count has begun anew since.
    const gap = from === undefined || (snapshot !== undefined && from.epoch === snapshot.position.epoch)
      ? undefined
      : this.gapTo(from, answer)
    if (gap !== undefined && answer.snapshot !== undefined && !usesSnapshots) {
      // Another reader's snapshot took the place of what is still kept.
      this.needsAsk = true
      return
    }
    const taken = snapshot ?? (gap === undefined ? undefined : answer.snapshot)
    const at = taken?.position ?? this.start(answer, gap === undefined ? from : answer.position)
    const shown = gap && { ...gap, to: at }
    if (this.position === undefined) {
      // A gap begins where the reader is.
      this.add({ _tag: "Subscribed", position: shown?.from ?? at, top: answer.top, gap: shown, snapshot: taken }, at)
    } else if (shown !== undefined) this.add({ _tag: "Gap", gap: shown, snapshot: taken }, at)
    else if (taken !== undefined) this.add({ _tag: "Snapshot", snapshot: taken }, at)
    if (this.isBehind) return
    this.isHeld = this.wantsSnapshot = false
    this.retries.reset()
    if ((wantsSnapshot || (usesSnapshots && gap !== undefined)) && taken === undefined && !asked) this.hold()
  }

  private start({ position, top }: Answer, from: Position | undefined): Position {
    if (from !== undefined) return from
    return this.since === "start" ? position : { epoch: position.epoch, offset: Math.max(top, position.offset) }
  }

  /** What is missing between a position and the answer's. */
  private gapTo(from: Position, { gap, position }: Answer): GapOf | undefined {
    if (from.epoch !== position.epoch) return { reason: "epoch", from, to: position }
    const isMissing = position.offset > from.offset || (wentBack(gap) && from.offset > position.offset)
    return isMissing ? { reason: gap?.reason ?? "history", from, to: position } : undefined
  }

  /** Nothing is taken until there is a snapshot. */
  private hold(): void {
    this.isHeld = this.wantsSnapshot = this.needsAsk = true
  }

  private gapped(gap: GapOf, snapshot: SnapshotItem | undefined): boolean {
    return this.add({ _tag: "Gap", gap, snapshot }, gap.to)
  }

  private add(item: Item, { epoch, offset }: Position): boolean {
    if (!Queue.offerUnsafe(this.queue, item)) {
      this.isBehind = true
      return false
    }
    this.position = { epoch, offset }
    if (item._tag === "Publication") this.counts.deliveries++
    else if ("gap" in item && item.gap !== undefined) count(this.counts.gaps, item.gap.reason)
    return true
  }

  /** It has taken everything that was queued before it was behind. */
  drained(): void {
    this.isBehind = false
    this.needsAsk = true
  }

  /** The connection is lost: whatever was asked has no answer. */
  lost(): void {
    this.ask = undefined
    this.rereadAt = undefined
    this.needsAsk = true
  }

  end(cause: Cause.Cause<E> | undefined): void {
    finish(this.queue, cause)
  }
}
