/**
 * What a link needs of the protocol that it speaks, as narrow interfaces: `Protocol` makes
 * frames of messages and back, `protocol/MessageProtocol` hands messages to a platform that
 * frames them by itself.
 */
import type { CloseInfo } from "../CloseCode.ts"
import type { Message, Prepared, Sendable } from "../Message.ts"
import type { Ending } from "../protocol/Ending.ts"
import type { Fragments } from "../protocol/Fragments.ts"

/** The bytes that an extension took in and put out. */
export interface Volume {
  readonly inputBytes: number
  readonly outputBytes: number
}

/** The receiving half. */
export interface LinkInbound {
  /** Messages that were received to their end. */
  readonly receivedMessages: number
  /** Bytes that were received and not taken, those of an incomplete message included. */
  readonly queuedBytes: number
  /** The same as memory: an incomplete message counts as much as it declared. */
  readonly heldBytes: number
  /** Whether the peer is in the middle of a data message. */
  readonly isInsideMessage: boolean
  readonly decoding: Volume | undefined
  putBack(messages: ReadonlyArray<Message>): void
}

/** The sending half. */
export interface LinkOutbound {
  readonly sentMessages: number
  /** Bytes of Pings and Pongs that were appended. */
  readonly controlBytes: number
  readonly encoding: Volume | undefined
  /** The most bytes to send at once. */
  readonly sliceSize: number
  /** Whether a payload of this size must not be changed before the transport has taken it. */
  isUncopied(size: number): boolean
  /** Whether a message goes out in slices of `sliceSize`. */
  isSliced(message: Message): boolean
  /** Whether a prepared message is sent as it was prepared. */
  shares(prepared: Prepared): boolean
  /** Appends messages from an index on, and returns the index of the first that was not appended. */
  sendRun(messages: ReadonlyArray<Sendable>, from: number, mark: number): number
  /** Begins a message in fragments; returns whether an extension transforms it. */
  beginFragments(type: "text" | "binary", message?: Message): boolean
  /** Drops what waits to be written. */
  clear(): void
}

/** One connection after its handshake: messages in and out, and how it ends. */
export interface LinkProtocol {
  readonly role: "client" | "server"
  readonly inbound: LinkInbound
  readonly outbound: LinkOutbound
  readonly controls: { readonly received: number }
  /** Why the last input was not read to its end. */
  readonly stopped: string | undefined
  /** Whole messages that wait to be taken. */
  readonly messages: ReadonlyArray<Message>
  takeMessages(): Array<Message>
  takeMessage(): Message
  demand(demand: "none" | "message" | "fragments"): void
  readonly fragments: Fragments | undefined
  endFragments(): void
  /** Whether data can be sent: no Close was sent. */
  readonly isOpen: boolean
  readonly sentClose: { readonly code: number; readonly reason: string } | undefined
  /** The peer's Close, or the rule that it broke. It follows all messages. */
  readonly ending: Ending | undefined
  /** Bytes that wait to be written. */
  readonly outputBytes: number
  /** The transport has taken everything that was written. */
  outputTaken(): void
  /** Sends a message; `false`: the platform did not take it, and its end follows. */
  send(message: Sendable): void | false
  sendFragment(type: "text" | "binary", payload: Message, last: boolean): void
  ping(payload: Uint8Array): void
  close(code?: number, reason?: string): void
  /** Answers the ending. */
  settle(): void
  readonly closeInfo: CloseInfo
}
