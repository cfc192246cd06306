/** What ends with its connection. */
import * as Effect from "effect/Effect"
import type { SendError, Turns } from "./Sending.ts"

/** Fails once the connection has closed: a source that has nothing to say would keep its sender waiting. */
export const failsAtEnd = (writer: Turns): Effect.Effect<never, SendError> =>
  Effect.callback((resume) => {
    const { link } = writer
    const fail = () => resume(writer.fail())
    if (link.isClosed) return fail()
    return Effect.sync(link.once("closed", fail))
  })
