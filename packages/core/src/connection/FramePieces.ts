/** Messages that are received in pieces over bytes, where a piece is a fragment: as they come. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Message } from "../Message.ts"
import type { Fragments } from "../protocol/Fragments.ts"
import type { IncomingMessage, PieceReader, ReceiveError } from "./Pieces.ts"

type Piece = string | Uint8Array

/** A link that receives fragments. */
export interface FragmentedLink {
  readonly protocol: {
    readonly messages: ReadonlyArray<Message>
    takeMessage(): Message
    /** The message that is being received, or was last received, piece by piece. */
    readonly fragments: Fragments | undefined
    endFragments(): void
  }
  /** The message that was delivered last in pieces. */
  current: Fragments | undefined
  flush(): void
  flushAnswers(): void
  demand(demand: "none" | "message" | "fragments"): void
  afterRead(): void
  leaveFragments(): void
}

/** The message that can be delivered in pieces. */
const freshOf = ({ protocol: { fragments } }: FragmentedLink): Fragments | undefined =>
  fragments === undefined || fragments.discarded ? undefined : fragments

/** The next message as a stream of its fragments. */
export const receiveStream = (
  link: FragmentedLink,
  reader: PieceReader
): Effect.Effect<IncomingMessage, ReceiveError> => {
  const busy = reader.owned()
  if (busy !== undefined) return busy
  reader.isReading = true
  link.flushAnswers()
  if (link.current !== undefined) link.leaveFragments()
  if (link.protocol.messages.length === 0 && freshOf(link) === undefined) link.demand("fragments")
  // Pieces first: they belong to a message that began when none waited.
  if (link.protocol.messages.length > 0 && freshOf(link) === undefined) {
    link.demand("none")
    const message = link.protocol.takeMessage()
    reader.handedOut = 1
    link.afterRead()
    return Effect.succeed<IncomingMessage>(
      typeof message === "string"
        ? { _tag: "Text", fragments: Stream.make(message) }
        : { _tag: "Binary", fragments: Stream.make(message) }
    )
  }
  const fragments = freshOf(link)
  if (fragments !== undefined) {
    link.demand("none")
    link.current = fragments
    return Effect.succeed(
      {
        _tag: fragments.type === "text" ? "Text" : "Binary",
        fragments: Stream.fromPull(Effect.succeed(pieces(link, reader, fragments)))
      } as IncomingMessage
    )
  }
  const isReady = () => reader.hasMessageOrEnd || freshOf(link) !== undefined
  return reader.atEnd ? reader.endOfReading() : reader.wait(isReady, reader.receiveStream)
}

const pieces = (
  link: FragmentedLink,
  reader: PieceReader,
  fragments: Fragments
): Pull.Pull<NonEmptyReadonlyArray<Piece>, ReceiveError> => {
  const isReady = () => fragments.hasPieces || fragments.done || reader.atEnd
  const pull: Pull.Pull<NonEmptyReadonlyArray<Piece>, ReceiveError> = Effect.suspend(() => {
    const busy = reader.busy()
    if (busy !== undefined) return busy
    if (fragments.discarded) {
      return Effect.die(new Error("The rest of this message was dropped when the next one was pulled"))
    }
    link.flush()
    // Output of an extension may already be with the connection.
    if (!fragments.hasPieces && !fragments.done) link.demand("fragments")
    if (fragments.hasPieces) {
      link.demand("none")
      const pieces = fragments.take()
      link.afterRead()
      return Effect.succeed(pieces as unknown as NonEmptyReadonlyArray<Piece>)
    }
    if (fragments.done) {
      if (link.current === fragments) {
        link.current = undefined
        link.protocol.endFragments()
      }
      return Cause.done()
    }
    return reader.atEnd ? reader.endOfReading() : reader.wait(isReady, pull)
  })
  return pull
}
