/** Messages in pieces where the platform has none: they are collected before they are sent, and received whole. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { bytesOf, joined } from "../codec/Bytes.ts"
import type { Message } from "../Message.ts"
import { failsAtEnd, holding, inTurn } from "./Holding.ts"
import type { IncomingMessage, Pieces } from "./Pieces.ts"

export const wholePieces: Pieces = {
  sendStream: (writer, kind, fragments) =>
    holding(writer, () => {
      const collected: Array<Message> = []
      const collect = (payloads: ReadonlyArray<Message>) => {
        // Their sender may change bytes before the last of them is there.
        for (const payload of payloads) collected.push(typeof payload === "string" ? payload : Uint8Array.from(bytesOf(payload)))
      }
      return Stream.runForEachArray(fragments, (payloads) => Effect.sync(() => collect(payloads))).pipe(
        Effect.flatMap(() => {
          const message = kind === "text" ? collected.join("") : joined(collected as Array<Uint8Array>)
          return inTurn(writer, message, () => writer.link.protocol.send(message))
        }),
        Effect.raceFirst(failsAtEnd(writer))
      )
    }),
  receiveStream: (reader) =>
    Effect.map(reader.receive, (message) =>
      ({ _tag: typeof message === "string" ? "Text" : "Binary", fragments: Stream.make(message) }) as IncomingMessage)
}
