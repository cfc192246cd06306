/**
 * What a link needs of the protocol that it speaks, be it one of bytes or of messages: `Protocol` makes frames of messages
 * and back, `protocol/MessageProtocol` hands messages to a platform that frames them by itself.
 */
import type { CloseInfo } from "../CloseCode.ts"
import type { Message, Sendable } from "../Message.ts"
import type { Ending } from "../protocol/Ending.ts"

/** The receiving half. */
export interface LinkInbound {
  /** Messages that were received to their end. */
  readonly receivedMessages: number
  /** Bytes that were received and not taken, those of an incomplete message included. */
  readonly queuedBytes: number
  putBack(messages: ReadonlyArray<Message>): void
}

/** The sending half. */
export interface LinkOutbound {
  readonly sentMessages: number
}

/** One connection after its handshake: messages in and out, and how it ends. */
export interface LinkProtocol {
  readonly role: "client" | "server"
  readonly inbound: LinkInbound
  readonly outbound: LinkOutbound
  /** Whole messages that wait to be taken. */
  readonly messages: ReadonlyArray<Message>
  takeMessages(): Array<Message>
  takeMessage(): Message
  /** Whether data can be sent: no Close was sent. */
  readonly isOpen: boolean
  readonly sentClose: { readonly code: number; readonly reason: string } | undefined
  /** The peer's Close, or the rule that it broke. It follows all messages. */
  readonly ending: Ending | undefined
  send(message: Sendable): void
  close(code?: number, reason?: string): void
  /** Answers the ending. */
  settle(): void
  readonly closeInfo: CloseInfo
}
