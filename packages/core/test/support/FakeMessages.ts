/** A platform's WebSocket that the test controls, and a connection on it. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { type Capabilities, everything } from "../../src/Capabilities.ts"
import type { Message } from "../../src/Message.ts"
import type { MessageTransport, MessageTransportHandlers } from "../../src/MessageTransport.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { IOError } from "../../src/WebSocketError.ts"

/** What a page's WebSocket can do. */
export const page: Capabilities = {
  ping: false,
  inboundBackpressure: false,
  outboundBackpressure: "polled",
  fragments: false,
  closeCodes: "application",
  orderedClose: false,
  drop: false
}

/** What a platform could do at best. */
export const best: Capabilities = { ...everything, ping: false, fragments: false, orderedClose: false }

export class FakeMessages implements MessageTransport {
  readonly capabilities: Capabilities
  handlers!: MessageTransportHandlers
  /** What was sent, the Close at last. */
  readonly said: Array<string> = []
  /** The platform keeps what it is given until `drain`. */
  isHolding = false
  /** It takes nothing any more: its end is on its way. */
  isClosing = false
  isPaused = false
  isClosed = false
  buffered = 0

  constructor(capabilities: Capabilities) {
    this.capabilities = capabilities
  }

  start(handlers: MessageTransportHandlers): void {
    this.handlers = handlers
  }

  send(message: Message): boolean {
    if (this.isClosing) return false
    assert.isFalse(this.isClosed, "a message after the end")
    this.said.push(typeof message === "string" ? message : `binary ${Array.from(message).join(" ")}`)
    if (this.isHolding) this.buffered += message.length
    return true
  }

  bufferedBytes(): number {
    return this.buffered
  }

  close(code: number | undefined, reason: string): void {
    this.said.push(`close ${code ?? "without a code"} ${reason}`.trimEnd())
    this.isClosing = true
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  destroy(): void {
    if (!this.isClosed) this.closes()
  }

  // ---------------------------------------------------------------------------
  // for the test
  // ---------------------------------------------------------------------------

  /** Messages arrive. */
  push(...messages: ReadonlyArray<Message>): void {
    for (const message of messages) this.handlers.onMessage(message)
  }

  /** The platform passes on what it kept, all or so many bytes. */
  drain(bytes = this.buffered): void {
    this.buffered -= bytes
    if (this.capabilities.outboundBackpressure === "told") this.handlers.onDrain()
  }

  /** The peer closes, or answers. */
  peerCloses(code: number, reason = ""): void {
    this.handlers.onClose(code, reason)
    if (!this.isClosed) this.closes()
  }

  /** The transport is gone. */
  closes(error?: IOError): void {
    assert.isFalse(this.isClosed)
    this.isClosed = true
    this.handlers.onClosed(error)
  }

  breaks(): void {
    this.closes(new IOError({ phase: "read", reason: "EndOfStream", detail: "1006" }))
  }
}

export interface Options extends Partial<WebSocket.MessageOptions> {
  readonly capabilities?: Capabilities
}

/** A connection in a scope of its own. */
export const makeOnMessages = Effect.fnUntraced(function*({ capabilities = page, ...options }: Options = {}) {
  const transport = new FakeMessages(capabilities)
  const scope = yield* Scope.make()
  const ws = yield* WebSocket.makeMessages(transport, { role: "client", ...options }).pipe(Scope.provide(scope))
  yield* Effect.addFinalizer(() => Effect.sync(() => transport.destroy()))
  return { transport, ws, scope }
})
