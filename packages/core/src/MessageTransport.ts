/**
 * The transport of a connection whose platform frames messages by itself: a browser's WebSocket, or one
 * of Deno, Bun or Workers. It replaces a `Transport` of bytes under the same connection: order,
 * backpressure, deadlines, closing and errors are the same, as far as the platform allows (see
 * `Capabilities`).
 *
 * @since 0.1.0
 */
import type { Capabilities } from "./Capabilities.ts"
import type { Message } from "./Message.ts"
import type { IOError } from "./WebSocketError.ts"

/**
 * What a transport of messages calls on its connection. These are methods, to be called on the
 * object, and none throws. `send`, `pause` and `close` call none of them before they return,
 * except `onClosed`; `start`, `resume` and `destroy` may.
 *
 * **Details**
 *
 * - `onMessage`: a message arrived. It belongs to the connection from now on.
 * - `onDrain`: less is buffered than before. Not needed where `Capabilities` says `"polled"`.
 * - `onClose`: the peer closed with this code (1005: none) and reason, and the platform has
 *   answered, or this is the answer to our own Close. No `onMessage` follows.
 * - `onClosed`: the transport is closed, with the error that ended it, or `undefined` after
 *   `onClose` or `destroy`. Called exactly once; nothing follows.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageTransportHandlers {
  onMessage(message: Message): void
  onDrain(): void
  onClose(code: number, reason: string): void
  onClosed(error: IOError | undefined): void
}

/**
 * Messages in both directions.
 *
 * **Details**
 *
 * - `start` begins to read. Called exactly once, on a transport that is open.
 * - `send` sends a message, and returns whether the platform took it. The payload may be changed
 *   afterwards. `false`: it was not sent, because the transport is closing or closed; `onClosed`
 *   follows, or was called. A platform that drops a message for another reason is closed by the
 *   transport, with an error: nothing is lost silently.
 * - `bufferedBytes` returns how much was sent and has not left the platform.
 * - `close` sends a Close after all messages: `code` is one that `Capabilities.closeCodes` allows,
 *   or `undefined` for a Close without one. Called at most once.
 * - `pause` and `resume` hold back the peer. They do nothing where the platform cannot do that.
 * - `unref`, where the platform has it, lets the process end although the transport is open.
 * - `destroy` drops the transport at once; `onClosed` follows unless it was called before.
 *   Calling it again does nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageTransport {
  readonly capabilities: Capabilities
  readonly start: (handlers: MessageTransportHandlers) => void
  readonly send: (message: Message) => boolean
  readonly bufferedBytes: () => number
  readonly close: (code: number | undefined, reason: string) => void
  readonly pause: () => void
  readonly resume: () => void
  readonly unref?: (() => void) | undefined
  readonly destroy: () => void
}

/**
 * A keepalive by messages of the application, for platforms that cannot send Pings: a message that is
 * sent every `keepAlive.interval`, and the peer's answer.
 *
 * **Details**
 *
 * As with Pings, the connection breaks with `IOError`, phase `keepalive`, if nothing arrives
 * within `keepAlive.timeout`: any message of the peer counts as life. `isAnswer` says which
 * messages are answers: these are not given to the reader. Both sides must agree on them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Heartbeat {
  readonly message: Message
  readonly isAnswer: (message: Message) => boolean
}
