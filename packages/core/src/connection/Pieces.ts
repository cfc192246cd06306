/**
 * Messages that are sent or received piece by piece: in frames over bytes (`FramePieces`, `StreamedMessage`), and as a
 * whole where the platform knows no pieces (`WholePieces`).
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Message } from "../Message.ts"
import type { ConnectionClosed, IOError, ProtocolError } from "../WebSocketError.ts"

/** What can end a wait for one message. */
export type ReceiveError = ConnectionClosed | ProtocolError | IOError

/** A message that is received piece by piece. */
export type IncomingMessage =
  | { readonly _tag: "Text"; readonly fragments: Stream.Stream<string, ReceiveError> }
  | { readonly _tag: "Binary"; readonly fragments: Stream.Stream<Uint8Array, ReceiveError> }

/** The reader of a connection as it receives a message piece by piece. */
export interface PieceReader {
  /** There is a reader: it has begun to read and has not ended. */
  isReading: boolean
  /** How many messages were delivered last. */
  handedOut: number
  /** A message waits, or none will come. */
  readonly hasMessageOrEnd: boolean
  /** No message can follow those that wait. */
  readonly atEnd: boolean
  /** The next message. */
  readonly receive: Effect.Effect<Message, ReceiveError>
  /** The next message as a stream of its fragments. */
  readonly receiveStream: Effect.Effect<IncomingMessage, ReceiveError>
  /** Why this reader may not read now. */
  owned(): Effect.Effect<never> | undefined
  busy(): Effect.Effect<never> | undefined
  endOfReading(): Effect.Effect<never, ReceiveError>
  wait<A, E>(isReady: (reader: PieceReader) => boolean, next: Effect.Effect<A, E>): Effect.Effect<A, E>
}

export type Kind = "text" | "binary"
