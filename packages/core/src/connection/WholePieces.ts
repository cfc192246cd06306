/** Messages in pieces where the platform has none: they are collected before they are sent, and received whole. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { bytesOf, joined } from "../codec/Bytes.ts"
import type { Message } from "../Message.ts"
import { failsAtEnd } from "./Ended.ts"
import type { IncomingMessage, Kind, PieceReader, ReceiveError } from "./Pieces.ts"
import type { Outcome, SendError, Turns } from "./Sending.ts"

/** Sends one message from a stream of its fragments. Others go before it until the stream ends, since nothing of it was sent. */
export const sendStream = <E, R>(
  link: { attempt(message: Message): Outcome },
  writer: Turns,
  kind: Kind,
  fragments: Stream.Stream<Message, E, R>
): Effect.Effect<void, SendError | E, R> =>
  Effect.suspend(() => {
    const collected: Array<Message> = []
    const collect = (payloads: ReadonlyArray<Message>) => {
      // Their sender may change bytes before the last of them is there.
      for (const payload of payloads) collected.push(typeof payload === "string" ? payload : Uint8Array.from(bytesOf(payload)))
    }
    return Stream.runForEachArray(fragments, (payloads) => Effect.sync(() => collect(payloads))).pipe(
      Effect.raceFirst(failsAtEnd(writer)),
      Effect.flatMap(() => {
        const message = kind === "text" ? collected.join("") : joined(collected as Array<Uint8Array>)
        return writer.run(() => link.attempt(message))
      })
    )
  })

/** The next message as a stream of its fragments. */
export const receiveStream = (reader: PieceReader): Effect.Effect<IncomingMessage, ReceiveError> =>
  Effect.map(reader.receive, (message) =>
    ({ _tag: typeof message === "string" ? "Text" : "Binary", fragments: Stream.make(message) }) as IncomingMessage)
