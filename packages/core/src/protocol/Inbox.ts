/** Messages that were received to their end and wait for the reader. */
import type { Message } from "../Message.ts"

// A message costs an entry in an array besides its payload.
const messageCharge = 64

/** How much of the inbound mark a waiting message takes up. */
const weigh = (message: Message): number => message.length + messageCharge

// No message waits: one array for all connections. Frozen, since users see it.
const none = Object.freeze([]) as unknown as Array<Message>

export class Inbox {
  /** Whole messages that wait for the reader. */
  messages = none
  /** How many messages were received to their end, which also tells one from the next. */
  receivedMessages = 0
  /** How much of the inbound mark the {@link messages} take up. */
  messageBytes = 0

  takeMessages(): Array<Message> {
    const messages = this.messages
    this.messages = none
    this.messageBytes = 0
    return messages === none ? [] : messages
  }

  takeMessage(): Message {
    const message = this.messages.shift()!
    if (this.messages.length === 0) this.messages = none
    this.messageBytes -= weigh(message)
    return message
  }

  /** Puts messages that were taken back, before those that wait. */
  putBack(messages: ReadonlyArray<Message>): void {
    if (messages.length === 0) return
    for (const message of messages) this.messageBytes += weigh(message)
    this.messages = this.messages === none ? [...messages] : [...messages, ...this.messages]
  }

  protected deliver(message: Message): void {
    this.receivedMessages++
    this.messageBytes += weigh(message)
    // Most batches are of one: an array that begins empty gets room for 17 by its first `push`.
    if (this.messages === none) this.messages = [message]
    else this.messages.push(message)
  }
}
