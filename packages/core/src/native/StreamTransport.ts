/**
 * A `WebSocketStream` as the transport of a connection: Chromium has it, and it is the only
 * WebSocket of a page that can be paused.
 */
import type { Capabilities } from "../Capabilities.ts"
import { endedWithoutClose } from "../connection/LinkHooks.ts"
import { byteLength, type Message } from "../Message.ts"
import type { MessageTransport, MessageTransportHandlers } from "../MessageTransport.ts"
import type { IOError } from "../WebSocketError.ts"
import { messageOf, notAMessage } from "./EventTransport.ts"

interface CloseLike {
  readonly closeCode?: number | undefined
  readonly reason?: string | undefined
}

/** What it has once it is open. */
export interface OpenStreamLike {
  readonly readable: {
    getReader(): { read(): Promise<{ readonly done: boolean; readonly value?: unknown }> }
  }
  readonly writable: { getWriter(): { write(chunk: string | Uint8Array<ArrayBuffer>): Promise<void> } }
  readonly protocol: string
  readonly extensions: string
}

/**
 * The part of a `WebSocketStream` that is used.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketStreamLike {
  readonly opened: Promise<OpenStreamLike>
  readonly closed: Promise<CloseLike>
  close(info?: { readonly closeCode: number; readonly reason: string }): void
}

const capabilities: Capabilities = {
  ping: false,
  inboundBackpressure: true,
  outboundBackpressure: "told",
  fragments: false,
  closeCodes: "application",
  orderedClose: false,
  drop: false
}

export class StreamTransport implements MessageTransport {
  readonly capabilities: Capabilities = capabilities
  private readonly stream: WebSocketStreamLike
  private readonly reader: ReturnType<OpenStreamLike["readable"]["getReader"]>
  private readonly writer: ReturnType<OpenStreamLike["writable"]["getWriter"]>
  private handlers!: MessageTransportHandlers
  private isPaused = false
  private isReading = false
  private buffered = 0
  private written: Promise<unknown> = Promise.resolve()
  // How it closed, reported once everything has been read; and whether nothing can be sent any more.
  private closeInfo: CloseLike | undefined
  private isOver = false
  private isClosed = false
  // The Close that waits for what is being written.
  private asked: { readonly closeCode: number; readonly reason: string } | undefined

  constructor(stream: WebSocketStreamLike, { readable, writable }: OpenStreamLike) {
    this.stream = stream
    this.reader = readable.getReader()
    this.writer = writable.getWriter()
  }

  start(handlers: MessageTransportHandlers): void {
    this.handlers = handlers
    this.stream.closed.then(
      (info) => {
        this.isOver = true
        this.closeInfo = info
        this.read()
      },
      (cause: unknown) => this.gone(endedWithoutClose(cause))
    )
    this.read()
  }

  private read(): void {
    if (this.isReading || this.isPaused || this.isClosed) return
    this.isReading = true
    this.reader.read().then(
      ({ done, value }) => {
        this.isReading = false
        if (this.isClosed) return
        if (done) return this.ended()
        const message = messageOf(value)
        if (message === undefined) return this.fail(notAMessage())
        this.handlers.onMessage(message)
        this.read()
      },
      // `closed` says why.
      () => {}
    )
  }

  /** Everything was read. */
  private ended(): void {
    if (this.closeInfo === undefined) return
    const { closeCode = 1005, reason = "" } = this.closeInfo
    if (closeCode === 1006) return this.gone(endedWithoutClose())
    this.handlers.onClose(closeCode, reason)
    this.gone(undefined)
  }

  private fail(error: IOError): void {
    this.drop()
    this.gone(error)
  }

  private drop(): void {
    try {
      this.stream.close(this.asked ?? { closeCode: 4011, reason: "" })
    } catch {
      // It is closed.
    }
  }

  private gone(error: IOError | undefined): void {
    if (this.isClosed) return
    this.isClosed = this.isOver = true
    this.handlers.onClosed(error)
  }

  send(message: Message): boolean {
    if (this.isOver) return false
    const size = byteLength(message)
    this.buffered += size
    // A stream keeps its chunk until it is written, and the caller may change it meanwhile.
    const chunk = typeof message === "string" ? message : Uint8Array.from(message)
    this.written = this.writer.write(chunk).then(
      () => {
        this.buffered -= size
        if (!this.isClosed) this.handlers.onDrain()
      },
      // It is closed, or about to be: the rest of the buffer was not sent.
      () => {}
    )
    return true
  }

  bufferedBytes(): number {
    return this.buffered
  }

  close(code: number | undefined, reason: string): void {
    this.isOver = true
    if (code !== undefined) this.asked = { closeCode: code, reason }
    // Closing drops everything that is not written yet.
    void this.written.then(() => {
      if (!this.isClosed) this.stream.close(this.asked)
    })
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.read()
  }

  destroy(): void {
    if (this.isClosed) return
    this.drop()
    this.gone(undefined)
  }
}
