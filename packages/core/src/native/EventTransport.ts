/**
 * A WebSocket with events, as WHATWG specifies it, as the transport of a connection: in pages, and on
 * Deno, Node, Bun (as a client) and Workers.
 */
import type { Capabilities } from "../Capabilities.ts"
import { endedWithoutClose } from "../connection/LinkHooks.ts"
import type { Message } from "../Message.ts"
import type { MessageTransport, MessageTransportHandlers } from "../MessageTransport.ts"
import { IOError } from "../WebSocketError.ts"

/** What its events may have. */
export interface EventLike {
  readonly type: string
  readonly data?: unknown
  readonly code?: number
  readonly reason?: string
  readonly error?: unknown
  readonly message?: string
}

/**
 * The part of a platform's WebSocket that is used. Those of pages, Deno, Node, Bun and Workers fit.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketLike {
  binaryType?: string
  readonly bufferedAmount?: number
  readonly readyState: number
  readonly protocol?: string | null
  readonly extensions?: string | null
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  addEventListener(type: string, listener: (event: EventLike) => void): void
  removeEventListener(type: string, listener: (event: EventLike) => void): void
}

/** What a WebSocket with events can do. */
export const eventCapabilities: Capabilities = {
  ping: false,
  inboundBackpressure: false,
  outboundBackpressure: "polled",
  fragments: false,
  closeCodes: "application",
  orderedClose: false,
  drop: false
}

const open = 1
const closing = 2

/** The received data as a message; `undefined` for anything else, such as a Blob. */
export const messageOf = (data: unknown): Message | undefined => {
  if (typeof data === "string" || data instanceof Uint8Array) return data
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : undefined
}

// Workers send a lone surrogate as it is, which no peer accepts. Others replace it, and so do engines without this method.
const wellFormed = (text: string & { toWellFormed?: () => string }): string => text.toWellFormed?.() ?? text

export const notAMessage = (): IOError =>
  new IOError({ phase: "read", reason: "Unknown", detail: "The platform's WebSocket delivered data that is neither text nor bytes" })

export class EventTransport implements MessageTransport {
  readonly capabilities: Capabilities
  readonly #socket: WebSocketLike
  #handlers: MessageTransportHandlers | undefined
  // Events from before there was a connection.
  #early: Array<EventLike> | undefined = []
  #cause: unknown
  #isClosed = false

  constructor(socket: WebSocketLike, capabilities: Capabilities) {
    this.capabilities = capabilities
    this.#socket = socket
    // Messages can arrive as soon as the socket is open, so listeners are added at once.
    socket.binaryType = "arraybuffer"
    socket.addEventListener("message", this.#onEvent)
    socket.addEventListener("error", this.#onEvent)
    socket.addEventListener("close", this.#onEvent)
  }

  start(handlers: MessageTransportHandlers): void {
    this.#handlers = handlers
    const early = this.#early!
    this.#early = undefined
    for (const event of early) this.#onEvent(event)
    // It may have closed before the listeners were added.
    if (early.length === 0 && this.#socket.readyState > closing) this.#gone(endedWithoutClose())
  }

  readonly #onEvent = (event: EventLike): void => {
    if (this.#isClosed) return
    if (this.#early !== undefined) this.#early.push(event)
    else if (event.type === "message") this.#onMessage(event.data)
    else if (event.type === "close") this.#onClose(event)
    else this.#cause = event.error ?? event.message
  }

  #onMessage(data: unknown): void {
    const message = messageOf(data)
    if (message !== undefined) this.#handlers!.onMessage(message)
    else this.#fail(notAMessage())
  }

  #onClose({ code = 1006, reason = "" }: EventLike): void {
    // 1006, or 0 on Deno: there was no Close. 1015: TLS failed.
    if (code < 1000 || code === 1006 || code === 1015) return this.#gone(endedWithoutClose(this.#cause))
    this.#handlers!.onClose(code, reason)
    this.#gone(undefined)
  }

  /** The platform did something unexpected: the connection breaks. */
  #fail(error: IOError): void {
    this.#drop()
    this.#gone(error)
  }

  #drop(): void {
    // It cannot do more than close: with a code that says that something went wrong.
    if (this.#socket.readyState <= open) this.#socket.close(this.capabilities.closeCodes === "all" ? 1011 : 4011)
  }

  #gone(error: IOError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#early = undefined
    const socket = this.#socket
    for (const type of ["message", "error", "close"]) socket.removeEventListener(type, this.#onEvent)
    this.#handlers?.onClosed(error)
  }

  send(message: Message): boolean {
    if (this.#socket.readyState !== open || this.#isClosed) return false
    this.#socket.send(typeof message === "string" ? wellFormed(message) : message as Uint8Array<ArrayBuffer>)
    return true
  }

  bufferedBytes(): number {
    return this.#socket.bufferedAmount ?? 0
  }

  close(code: number | undefined, reason: string): void {
    if (code === undefined) this.#socket.close()
    else this.#socket.close(code, reason)
  }

  // A WebSocket with events cannot be paused.
  pause(): void {}
  resume(): void {}

  destroy(): void {
    if (this.#isClosed) return
    this.#drop()
    this.#gone(undefined)
  }
}
