/**
 * A connection with the events and methods of a browser's WebSocket, as far as Effect's `Socket` uses
 * them, `pause` and `resume` included.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import type { CloseInfo } from "../CloseCode.ts"
import type { Message } from "../Message.ts"
import { checkClose } from "../protocol/CloseFrame.ts"
import type { WebSocket } from "../WebSocket.ts"
import type { Fork } from "./FailablePull.ts"

type Type = "open" | "message" | "error" | "close"
type Listener = (event: Socket.WebSocketEvent) => void

const CONNECTING = 0
const OPEN = 1
const CLOSING = 2
const CLOSED = 3

const abnormal = { code: 1006, reason: "" }

export class EventSocket implements Socket.WebSocketLike {
  binaryType = "arraybuffer"
  readyState = CONNECTING
  /** Messages that were sent and not accepted yet, because this interface cannot wait for a slow peer. */
  bufferedAmount = 0

  private readonly fork: Fork
  private readonly listeners = new Map<Type, Map<Listener, boolean>>()
  private readonly flowing = Latch.makeUnsafe(true)
  private ws: WebSocket | undefined
  private dialling: Fiber.Fiber<void> | undefined
  private reading: Fiber.Fiber<unknown> | undefined
  private isOver = false

  private constructor(fork: Fork) {
    this.fork = fork
  }

  /** Over an open connection. Messages are read once there is a listener for them. */
  static over(ws: WebSocket, fork: Fork): EventSocket {
    const self = new EventSocket(fork)
    self.opened(ws)
    fork(self.end(ws))
    return self
  }

  /** Over a connection that is being dialled. */
  static dial<E>(connect: Effect.Effect<WebSocket, E, Scope.Scope>, fork: Fork): EventSocket {
    const self = new EventSocket(fork)
    // After the caller has added its listeners.
    const dial = Effect.andThen(Effect.yieldNow, connect)
    self.dialling = fork(Effect.scoped(Effect.flatMap(dial, (ws) => {
      self.opened(ws)
      return self.end(ws)
    })).pipe(
      Effect.catchCause((cause) =>
        Effect.sync(() => {
          self.emit("error", { type: "error", cause, message: "The connection did not open" })
          self.ended({ ...abnormal, clean: false })
        })
      )
    ))
    return self
  }

  get isPaused(): boolean {
    return !this.flowing.isOpen
  }

  private opened(ws: WebSocket): void {
    this.ws = ws
    this.readyState = OPEN
    if (this.listeners.has("message")) this.read(ws)
    this.emit("open", { type: "open" })
  }

  private read(ws: WebSocket): void {
    if (this.reading !== undefined) return
    const deliver = Stream.runForEachArray(ws.messages, (messages) => this.deliver(messages, 0))
    this.reading = this.fork(deliver.pipe(
      Effect.catch((error) => Effect.sync(() => this.emit("error", { type: "error", error, message: error.message })))
    ))
  }

  /** Waits for the end, after the messages and the error before it. */
  private end(ws: WebSocket): Effect.Effect<void> {
    return Effect.flatMap(ws.closed, (info) => {
      const read = this.reading === undefined ? Effect.void : Fiber.await(this.reading)
      return Effect.andThen(read, Effect.sync(() => this.ended({ clean: info.clean, ...info.received ?? abnormal })))
    })
  }

  private deliver(messages: ReadonlyArray<Message>, from: number): Effect.Effect<void> {
    for (let at = from; at < messages.length; at++) {
      if (this.isPaused) return Effect.andThen(this.flowing.await, Effect.suspend(() => this.deliver(messages, at)))
      if (this.isOver) return Effect.void
      this.emit("message", { type: "message", data: data(messages[at]) })
    }
    return this.flowing.await
  }

  private ended({ clean, code, reason }: Pick<CloseInfo, "clean" | "code" | "reason">): void {
    if (this.isOver) return
    this.isOver = true
    this.readyState = CLOSED
    this.emit("close", { type: "close", code, reason, wasClean: clean })
  }

  private emit(type: Type, event: Socket.WebSocketEvent & Record<string, unknown>): void {
    const listeners = this.listeners.get(type)
    if (listeners === undefined) return
    for (const [listener, once] of new Map(listeners)) {
      if (once) listeners.delete(listener)
      listener(event)
    }
  }

  addEventListener(type: Type, listener: Listener, options?: { readonly once?: boolean }): void {
    let listeners = this.listeners.get(type)
    if (listeners === undefined) this.listeners.set(type, listeners = new Map())
    listeners.set(listener, options?.once === true)
    if (type === "message" && this.ws !== undefined) this.read(this.ws)
  }

  removeEventListener(type: Type, listener: Listener): void {
    this.listeners.get(type)?.delete(listener)
  }

  send(data: string | Uint8Array): void {
    const { ws } = this
    if (ws === undefined) throw new Error("This WebSocket is not open yet")
    if (this.readyState !== OPEN) return
    // Copied, because the caller cannot know when it may be changed.
    const message = typeof data === "string" ? data : data.slice()
    this.bufferedAmount += message.length
    this.fork(Effect.ensuring(
      Effect.ignore(ws.send(message)),
      Effect.sync(() => {
        this.bufferedAmount -= message.length
      })
    ))
  }

  close(code?: number, reason = ""): void {
    const checked = checkClose(this.ws?.role ?? "client", code, reason)
    if (Result.isFailure(checked)) throw checked.failure
    if (this.readyState >= CLOSING) return
    this.readyState = CLOSING
    if (this.ws !== undefined) this.fork(Effect.ignore(this.ws.close(code, reason)))
    else this.dialling?.interruptUnsafe()
  }

  pause(): void {
    this.flowing.closeUnsafe()
  }

  resume(): void {
    this.flowing.openUnsafe()
  }
}

/** Binary data as an `ArrayBuffer` that is not shared. */
const data = (message: Message): string | ArrayBuffer =>
  typeof message === "string"
    ? message
    : message.buffer instanceof ArrayBuffer && message.byteLength === message.buffer.byteLength
    ? message.buffer
    : message.slice().buffer
