/** A `ServerWebSocket` of `Bun.serve` as the transport of a connection. */
import * as Effect from "effect/Effect"
import type { Capabilities } from "../Capabilities.ts"
import { endedWithoutClose } from "../connection/LinkHooks.ts"
import type { Message } from "../Message.ts"
import type { MessageTransport, MessageTransportHandlers } from "../MessageTransport.ts"
import { IOError } from "../WebSocketError.ts"
import { messageOf, notAMessage } from "../native/EventTransport.ts"

/** What of it is used. */
export interface ServerWebSocketLike {
  binaryType?: string
  readonly readyState: number
  /** -1: it is in the buffer; 0: it was dropped; otherwise so many bytes were sent. */
  send(data: string | Uint8Array<ArrayBuffer>): number
  close(code?: number, reason?: string): void
  terminate(): void
  getBufferedAmount(): number
}

const capabilities: Capabilities = {
  ping: false,
  inboundBackpressure: false,
  outboundBackpressure: "told",
  fragments: false,
  closeCodes: "all",
  orderedClose: false,
  drop: true
}

const dropped = (): IOError =>
  new IOError({ phase: "write", reason: "Aborted", detail: "Bun dropped a message, so the connection was cut" })

const notUpgraded = (): IOError =>
  new IOError({ phase: "handshake", reason: "Aborted", detail: "Bun did not upgrade the request" })

export class BunTransport implements MessageTransport {
  readonly capabilities: Capabilities = capabilities
  private socket: ServerWebSocketLike | undefined
  private handlers: MessageTransportHandlers | undefined
  // What happened before the connection was there.
  private early: Array<() => void> | undefined = []
  private isClosed = false
  private onOpened: (() => void) | undefined

  /** The transport, once its socket is open. */
  opened(isUpgraded: boolean): Effect.Effect<MessageTransport, IOError> {
    return Effect.callback((resume) => {
      if (!isUpgraded) return resume(Effect.fail(notUpgraded()))
      if (this.socket !== undefined) return resume(Effect.succeed(this))
      this.onOpened = () => resume(Effect.succeed(this))
      return Effect.sync(() => this.destroy())
    })
  }

  onOpen(socket: ServerWebSocketLike): void {
    this.socket = socket
    socket.binaryType = "uint8array"
    if (this.isClosed) socket.close()
    this.onOpened?.()
  }

  start(handlers: MessageTransportHandlers): void {
    this.handlers = handlers
    const early = this.early!
    this.early = undefined
    for (const happens of early) happens()
  }

  onMessage(data: unknown): void {
    if (this.early !== undefined) this.early.push(() => this.onMessage(data))
    else if (!this.isClosed) {
      const message = messageOf(data)
      if (message !== undefined) this.handlers!.onMessage(message)
      else this.fail(notAMessage())
    }
  }

  onDrain(): void {
    if (!this.isClosed) this.handlers?.onDrain()
  }

  onClose(code: number, reason: string): void {
    if (this.early !== undefined) {
      this.early.push(() => this.onClose(code, reason))
    } else if (!this.isClosed) {
      if (code === 1006) return this.gone(endedWithoutClose())
      this.handlers!.onClose(code, reason)
      this.gone(undefined)
    }
  }

  private fail(error: IOError): void {
    this.socket?.terminate()
    this.gone(error)
  }

  private gone(error: IOError | undefined): void {
    if (this.isClosed) return
    this.isClosed = true
    this.handlers?.onClosed(error)
  }

  send(message: Message): boolean {
    const { socket } = this
    if (socket === undefined || this.isClosed || socket.readyState !== 1) return false
    if (socket.send(message as string | Uint8Array<ArrayBuffer>) !== 0 || message.length === 0) return true
    if (socket.readyState === 1) this.fail(dropped())
    return false
  }

  bufferedBytes(): number {
    return this.socket === undefined || this.isClosed ? 0 : this.socket.getBufferedAmount()
  }

  close(code: number | undefined, reason: string): void {
    this.socket?.close(code, reason)
  }

  // Bun does not stop reading.
  pause(): void {}
  resume(): void {}

  destroy(): void {
    if (this.isClosed) return
    this.socket?.terminate()
    this.gone(undefined)
  }
}
