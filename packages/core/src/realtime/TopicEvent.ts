/**
 * What a subscriber sees of a topic: publications with their positions, and what is missing between them.
 *
 * @since 0.1.0
 */
import type { Position } from "./Broker.ts"

/**
 * The subscription stands: publications follow behind `position`. `top` is the offset of the last publication at that moment: with
 * it a reader has caught up. It comes once, before them; a gap behind it says that what was asked for could not be had.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subscribed {
  readonly _tag: "Subscribed"
  readonly position: Position
  readonly top: number
}

/**
 * A publication.
 *
 * @category models
 * @since 0.1.0
 */
export interface Publication<out A> {
  readonly _tag: "Publication"
  readonly position: Position
  /** What the publisher named it. */
  readonly key: string
  readonly value: A
}

/**
 * Publications are missing between `from`, the last one that was delivered or asked for, and `to`, behind which delivery
 * goes on.
 *
 * **Details**
 *
 * - `"history"`: they are no longer kept.
 * - `"epoch"`: the broker lost data, so that positions count from the start again. What is missing is not known.
 *
 * @category models
 * @since 0.1.0
 */
export interface Gap {
  readonly _tag: "Gap"
  readonly reason: "history" | "epoch"
  readonly from: Position
  readonly to: Position
}

/**
 * The state of the topic at `position`, or later: publications that follow may be in it already.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot<out A> {
  readonly _tag: "Snapshot"
  readonly position: Position
  readonly value: A
}

/**
 * What a subscriber sees.
 *
 * @category models
 * @since 0.1.0
 */
export type TopicEvent<Value, State = never> = Subscribed | Publication<Value> | Gap | Snapshot<State>
