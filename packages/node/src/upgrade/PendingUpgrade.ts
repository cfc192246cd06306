/**
 * A request for a WebSocket, from its arrival until it is one or is answered otherwise. Most of them become one, and
 * then no response is written, so Node's response is made only when it is used. Measured: 1 KiB less for each
 * connection.
 */
import { Handshake, type HttpUpgrade, type Transport, type WebSocketError, type WebSocketServer } from "@effect-ws/core"
import type * as Fiber from "effect/Fiber"
import { ClientAbort } from "effect/http/HttpServerError"
import * as Result from "effect/Result"
import type { Buffer } from "node:buffer"
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import { pairsOf } from "../transport/RawHeaders.ts"
import type { Transports } from "../transport/Transports.ts"
import * as HttpInternals from "../undocumented/HttpInternals.ts"
import { AcceptedRequest, type Head } from "./AcceptedRequest.ts"
import type { Taker } from "./Entrance.ts"
import { endSoon, refuse, unavailable } from "./Refusals.ts"

const pendingKey = Symbol("pending")

interface Keyed {
  [pendingKey]?: PendingUpgrade
}

/** The upgrade that a request of Node asks for, while it is possible. */
export const find = (source: object): WebSocketServer.Upgrade | undefined => {
  const pending = (source as Keyed)[pendingKey]
  return pending?.canOpen === true ? pending : undefined
}

// Nothing reads yet, so only this event reports that the client left.
function onEnd(this: Keyed): void {
  this[pendingKey]?.onEnd()
}

function onClose(this: Keyed): void {
  this[pendingKey]?.onClose()
}

// Without a listener a reset would crash the process.
const ignore = () => {}

/**
 * What the upgrades of one server share: how they are made, their transports, what interrupts their handlers, and
 * whether other listeners see Node's messages too, to which they may add something.
 */
export interface PendingServer {
  readonly upgrader: HttpUpgrade.Upgrader
  readonly transports: Transports
  readonly fiberId: number
  readonly isShared: () => boolean
}

export class PendingUpgrade implements HttpUpgrade.PendingUpgrade, WebSocketServer.Upgrade {
  isAccepted = false
  refused: WebSocketError.HandshakeError | undefined = undefined
  // Until it is answered, because a connection holds no alarm.
  private deadline: HttpUpgrade.HandshakeDeadline | undefined = undefined
  private known: Http.IncomingMessage | AcceptedRequest
  private readonly server: PendingServer
  // The fiber of the handler, if it did not answer at once.
  fiber: Fiber.Fiber<void> | undefined = undefined
  // The connection, and bytes that the client sent early, until it has left HTTP.
  private socket: Duplex | undefined
  private early: Buffer | undefined
  // The response, once it was used.
  private made: Http.ServerResponse | undefined = undefined
  private isExpired = false
  // Node's message was given away, and something may have been added to it.
  private isShown = false

  constructor(message: Http.IncomingMessage, socket: Duplex, early: Buffer, server: PendingServer) {
    this.known = message
    this.socket = socket
    this.early = early
    this.server = server
    ;(message as Keyed)[pendingKey] = this
  }

  get [pendingKey](): this {
    return this
  }

  get key(): this {
    return this
  }

  begin(deadline: HttpUpgrade.HandshakeDeadline | undefined): void {
    this.end()
    this.deadline = deadline
    if (this.fiber !== undefined) deadline?.start()
  }

  end(): void {
    this.deadline?.stop()
    this.deadline = undefined
  }

  /**
   * The handler's first run is over: from now on its client can leave, and its time can run out. Most handlers have
   * accepted by then, so no listeners were added that must be removed.
   */
  wait(fiber: Fiber.Fiber<void>): void {
    const { socket } = this
    this.fiber = fiber
    if (socket === undefined) return
    ;(socket as Keyed)[pendingKey] = this
    socket.on("error", ignore)
    socket.on("end", onEnd)
    socket.on("close", onClose)
    this.deadline?.start()
  }

  /** The request: Node's message, or its copy after the accept. */
  get head(): Head {
    return this.known
  }

  /** The same for other code: a message that it was given is kept. */
  show(): Http.IncomingMessage | AcceptedRequest {
    this.isShown = true
    return this.known
  }

  /** Node's message, until the request has become a connection. */
  get message(): Http.IncomingMessage {
    return this.known as Http.IncomingMessage
  }

  onEnd(): void {
    if (this.made?.writableEnded !== true) this.socket?.destroy()
  }

  onClose(): void {
    if (this.made?.writableEnded !== true) this.fiber?.interruptUnsafe(this.server.fiberId, ClientAbort.annotation)
  }

  get request(): Handshake.UpgradeRequest {
    const { known, socket } = this
    return {
      method: known.method ?? "",
      httpVersion: known.httpVersion,
      target: known.url,
      headers: pairsOf(known.rawHeaders),
      secure: socket !== undefined && "encrypted" in socket && socket.encrypted === true
    }
  }

  get upgrader(): HttpUpgrade.Upgrader {
    return this.server.upgrader
  }

  get sha1() {
    return this.server.transports.primitives.sha1
  }

  /** Whether it can still become a connection. */
  get canOpen(): boolean {
    return this.socket !== undefined && !this.isExpired && this.made?.headersSent !== true
  }

  /** Whether it has become one. */
  get isOpen(): boolean {
    return this.socket === undefined
  }

  open(answer: Handshake.UpgradeResponse): Transport.Transport {
    const { early, made, socket } = this
    if (socket === undefined) throw new Error("This request was upgraded before; it can be upgraded once")
    const head = Result.getOrThrow(Handshake.encodeUpgradeResponse(answer))
    if (this.fiber !== undefined) {
      socket.off("end", onEnd)
      socket.off("close", onClose)
    }
    // Code that holds a response must write nothing any more.
    if (made !== undefined) {
      HttpInternals.detach(made, socket)
      HttpInternals.endUnwritten(made)
    }
    this.socket = this.early = undefined
    if (!this.isKept) this.known = new AcceptedRequest(this.known)
    return this.server.transports.make(socket, early, head)
  }

  /** Whether Node's message is needed beyond its copy. */
  private get isKept(): boolean {
    return this.isShown || this.made !== undefined || this.server.isShared() ||
      Object.getPrototypeOf(this.known) !== Http.IncomingMessage.prototype
  }

  expire(): void {
    const { made, socket } = this
    if (made?.headersSent === true || socket === undefined || this.isExpired) return
    this.isExpired = true
    // Not by the response, which the handler still holds.
    refuse(socket, unavailable)
  }

  /**
   * Leaves the request to `take` if that wants it: then nothing is written here any more. A request whose response was
   * used is not left.
   */
  leaveTo(take: Taker): boolean {
    const { early, socket } = this
    if (socket === undefined || early === undefined || this.made !== undefined || this.isExpired) return false
    if (socket.destroyed) return false
    if (this.fiber !== undefined) {
      socket.off("end", onEnd)
      socket.off("close", onClose)
    }
    if (take(this.message, socket, early)) {
      this.socket = this.early = undefined
      this.end()
      return true
    }
    if (this.fiber !== undefined) {
      socket.on("end", onEnd)
      socket.on("close", onClose)
    }
    return false
  }

  /** The response by which an answer other than an upgrade is written. */
  get response(): Http.ServerResponse {
    return this.made ??= this.makeResponse()
  }

  private makeResponse(): Http.ServerResponse {
    const { known, socket } = this
    // The response needs no more of its request than the copy has.
    const response = new Http.ServerResponse(known as Http.IncomingMessage)
    response.shouldKeepAlive = false
    if (socket === undefined) {
      HttpInternals.endUnwritten(response)
      return response
    }
    if (socket.destroyed) {
      response.destroy()
      return response
    }
    // A refusal is an ordinary response, after which the connection ends.
    response.on("finish", () => {
      if (this.socket === undefined) return
      HttpInternals.detach(response, socket)
      endSoon(socket)
    })
    HttpInternals.attach(response, socket)
    return response
  }
}
