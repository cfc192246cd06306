/**
 * The protocol of a connection whose platform frames messages by itself: limits, the order of messages,
 * the ending, and which side closed first. It has no I/O: its output goes to a {@link MessageOutput}.
 */
import type { CloseInfo } from "../CloseCode.ts"
import { bytesOf } from "../codec/Bytes.ts"
import type { Limits } from "../Limits.ts"
import type { Message, Sendable } from "../Message.ts"
import type { ProtocolRule } from "../WebSocketError.ts"
import { closeInfoOf } from "./CloseInfo.ts"
import type { Ending } from "./Ending.ts"
import { Inbox } from "./Inbox.ts"
import { errorOf, messageTooBig, type RuleInfo, tooMuchUnread } from "./Violation.ts"

/** Where messages go. */
export interface MessageOutput {
  /** Sends a message; `false`: it was not taken. */
  sendOut(message: Message): boolean
  /** Sends the Close; 1005 stands for none. Returns the code that was sent, where the platform cannot send each. */
  closeOut(code: number, reason: string): number
  /** Bytes that the platform has not passed on. */
  readonly bufferedBytes: number
}

export class MessageProtocol extends Inbox {
  readonly role: "client" | "server"
  // Both halves are this object: there are no frames to take apart, or to make.
  readonly inbound = this
  readonly outbound = this
  sentMessages = 0
  /** The peer's Close, or the rule that it broke. It follows all messages. */
  ending: Ending | undefined
  /** The code and reason of the Close that this side sent. */
  sentClose: { readonly code: number; readonly reason: string } | undefined
  readonly #limits: Limits
  readonly #output: MessageOutput
  // Whether the peer can be held back, which bounds the messages that wait.
  readonly #isBounded: boolean
  #receivedFirst = false

  constructor(role: "client" | "server", limits: Limits, output: MessageOutput, isBounded: boolean) {
    super()
    this.role = role
    this.#limits = limits
    this.#output = output
    this.#isBounded = isBounded
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  /** A message of so many bytes arrived. Nothing is read after the ending, or after our own Close. */
  receive(message: Message, size: number): void {
    if (this.ending !== undefined || this.sentClose !== undefined) return
    const { messageBytes } = this
    const limits = this.#limits
    if (size > limits.maxMessageSize) return this.#fail("MessageTooBig", messageTooBig)
    if (!this.#isBounded && messageBytes > 0 && messageBytes + size > limits.maxUnread) {
      return this.#fail("TooMuchUnread", tooMuchUnread)
    }
    this.deliver(message)
  }

  /** The peer's Close arrived. The platform has answered it, unless it is the answer to ours. */
  receiveClose(code: number, reason: string): void {
    if (this.ending === undefined) this.ending = { _tag: "Close", code, reason }
    if (this.sentClose !== undefined) return
    this.#receivedFirst = true
    this.sentClose = { code, reason: "" }
  }

  get queuedBytes(): number {
    return this.messageBytes
  }

  #fail(rule: ProtocolRule, info: RuleInfo): void {
    this.#receivedFirst = true
    this.ending = { _tag: "Violation", error: errorOf(rule, info) }
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  get isOpen(): boolean {
    return this.sentClose === undefined
  }

  /** Sends a message; `false`: it was not taken. */
  send(message: Message): boolean {
    if (!this.isOpen || !this.#output.sendOut(typeof message === "string" ? message : bytesOf(message))) return false
    this.sentMessages++
    return true
  }

  /**
   * Sends messages from an index on, while less than `mark` waits on the platform. Returns the index of the first that was not
   * sent: there is no room, it was not taken, or it is prepared.
   */
  sendRun(messages: ReadonlyArray<Sendable>, from: number, mark: number): number {
    let at = from
    for (let room = mark - this.#output.bufferedBytes; at < messages.length && room > 0; at++) {
      const message = messages[at]!
      if (typeof message !== "string" && !(message instanceof Uint8Array)) break
      if (!this.send(message)) break
      room -= message.length
    }
    return at
  }

  close(code = 1005, reason = ""): void {
    if (!this.isOpen) return
    this.sentClose = { code, reason }
    const sent = this.#output.closeOut(code, reason)
    if (sent !== code) this.sentClose = { code: sent, reason }
  }

  /** The reader has reached the {@link ending}: a broken rule is answered with its code. */
  settle(): void {
    const { ending } = this
    if (ending?._tag === "Violation") this.close(ending.error.code, ending.error.rule)
  }

  get closeInfo(): CloseInfo {
    return closeInfoOf(this.ending, this.sentClose, this.#receivedFirst)
  }
}
