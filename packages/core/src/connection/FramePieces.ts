/** Messages in pieces over bytes, where a piece is a fragment: they are sent and received as they come. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Fragments } from "../protocol/Fragments.ts"
import type { IncomingMessage, PieceReader, Pieces, ReceiveError } from "./Pieces.ts"
import { sendSliced, sendStream } from "./StreamedMessage.ts"

type Piece = string | Uint8Array

const incomingReady = (reader: PieceReader): boolean => reader.hasMessageOrEnd || reader.fresh !== undefined

const receiveStream = (reader: PieceReader): Effect.Effect<IncomingMessage, ReceiveError> => {
  const busy = reader.owned()
  if (busy !== undefined) return busy
  const { link } = reader
  reader.isReading = true
  link.flushAnswers()
  if (reader.current !== undefined) reader.leaveCurrent()
  if (link.protocol.messages.length === 0 && reader.fresh === undefined) link.demand("fragments")
  // Pieces first: they belong to a message that began when none waited.
  if (link.protocol.messages.length > 0 && reader.fresh === undefined) {
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
  const fragments = reader.fresh
  if (fragments !== undefined) {
    link.demand("none")
    reader.current = fragments
    return Effect.succeed(
      {
        _tag: fragments.type === "text" ? "Text" : "Binary",
        fragments: Stream.fromPull(Effect.succeed(pieces(reader, fragments)))
      } as IncomingMessage
    )
  }
  return reader.atEnd ? reader.endOfReading() : reader.wait(incomingReady, reader.receiveStream)
}

const pieces = (
  reader: PieceReader,
  fragments: Fragments
): Pull.Pull<NonEmptyReadonlyArray<Piece>, ReceiveError> => {
  const isReady = () => fragments.hasPieces || fragments.done || reader.atEnd
  const pull: Pull.Pull<NonEmptyReadonlyArray<Piece>, ReceiveError> = Effect.suspend(() => {
    const busy = reader.busy()
    if (busy !== undefined) return busy
    const { link } = reader
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
      if (reader.current === fragments) {
        reader.current = undefined
        link.protocol.endFragments()
      }
      return Cause.done()
    }
    return reader.atEnd ? reader.endOfReading() : reader.wait(isReady, pull)
  })
  return pull
}

export const framePieces: Pieces = { receiveStream, sendSliced, sendStream }
