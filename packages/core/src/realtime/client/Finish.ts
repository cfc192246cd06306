/** The end of a queue whose reader learns why. */
import type * as Cause from "effect/Cause"
import * as Queue from "effect/Queue"

export const finish = <A, E>(queue: Queue.Queue<A, E | Cause.Done>, cause: Cause.Cause<E> | undefined): void => {
  if (cause === undefined) Queue.endUnsafe(queue)
  else Queue.failCauseUnsafe(queue, cause)
}
