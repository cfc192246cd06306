/** What sends one message from a stream, whatever becomes of its pieces: no other data is sent meanwhile. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Outcome, SendError, Turns, Waiter } from "./Sending.ts"

/** Whether part of a message was sent and the rest was not. */
export interface Begun {
  begun: boolean
}

/** Runs `send` while no other data is sent. A message that it leaves unfinished closes the connection. */
export const holding = <E, R>(
  writer: Turns,
  send: (message: Begun) => Effect.Effect<void, E, R>
): Effect.Effect<void, SendError | E, R> =>
  Effect.suspend(() => {
    const { link } = writer
    const message: Begun = { begun: false }
    let isHeld = false
    const hold = (): Outcome => {
      if (!link.isOpen) return "closed"
      if (writer.isStreaming) return "wait"
      isHeld = writer.isStreaming = true
      return "accepted"
    }
    return Effect.suspend(() => writer.run(hold)).pipe(
      Effect.flatMap(() => send(message)),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (!isHeld) return
          writer.isStreaming = false
          // §5.4: a message that was begun can neither be ended early nor taken back.
          if (Exit.isFailure(exit) && message.begun) link.cutMessage()
          writer.onWritable()
          link.sendersMoved()
        })
      )
    )
  })

/** A link on which a message in fragments holds the turn. */
export interface HeldLink {
  /** Its sender, while it waits. */
  holder: Waiter | undefined
}

/** Runs an attempt until it has not to wait, for the sender that holds the turn. */
export const inTurn = (link: HeldLink, writer: Turns, attempt: () => Outcome): Effect.Effect<void, SendError> =>
  Effect.suspend(() => {
    const first = attempt()
    if (first !== "wait") return writer.settle(first)
    return Effect.callback((resume) => {
      const waiter: Waiter = { attempt, resume }
      link.holder = waiter
      writer.onWritable()
      return Effect.sync(() => {
        if (link.holder === waiter) link.holder = undefined
      })
    })
  })
