/**
 * A request for a WebSocket from its arrival until it is one, or is answered otherwise. Most
 * of them become one, and then nobody ever writes a response: so that is made once it is
 * looked at. Measured: 1 KiB for each connection, for as long as it lives.
 */
import { Handshake, type HttpUpgrade, type Transport, type WebSocketError, type WebSocketServer } from "@effect-ws/core"
import type * as Fiber from "effect/Fiber"
import { ClientAbort } from "effect/http/HttpServerError"
import * as Result from "effect/Result"
import type { Buffer } from "node:buffer"
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import type { Transports } from "../transport/Transports.ts"
import * as HttpInternals from "../undocumented/HttpInternals.ts"
import { AcceptedRequest, type Head } from "./AcceptedRequest.ts"
import type { Taker } from "./Entrance.ts"
import { endSoon, refuse, unavailable } from "./Refusals.ts"

const pendingKey = Symbol("pending")

interface Keyed {
  [pendingKey]?: PendingUpgrade
}

/** The upgrade that a request of Node's asks for, while it can be had. */
export const find = (source: object): WebSocketServer.Upgrade | undefined => {
  const pending = (source as Keyed)[pendingKey]
  return pending?.canOpen === true ? pending : undefined
}

// Nobody reads yet, so only this tells that the client went away.
function onEnd(this: Keyed): void {
  this[pendingKey]?.onEnd()
}

function onClose(this: Keyed): void {
  this[pendingKey]?.onClose()
}

// Without a listener a reset would crash the process.
const ignore = () => {}

/**
 * What the upgrades of one server share: how they are made, which transports they get, who interrupts their
 * handlers, and whether other listeners see Node's messages too, and may leave something with them.
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
  // Until it is answered: a connection holds no alarm.
  private deadline: HttpUpgrade.HandshakeDeadline | undefined = undefined
  private known: Http.IncomingMessage | AcceptedRequest
  private readonly server: PendingServer
  // Runs the handler, which did not answer at once.
  fiber: Fiber.Fiber<void> | undefined = undefined
  // The connection, and what the client sent early, until it has left HTTP.
  private socket: Duplex | undefined
  private early: Buffer | undefined
  // The response, once someone has looked at it.
  private made: Http.ServerResponse | undefined = undefined
  private isExpired = false
  // Someone was given Node's message, and may have left something with it.
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
   * The handler's first run is over: from now on its client can go away, and its time can
   * run out. Most have accepted by then, and nothing was put up for them to be taken away.
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

  /** What is known of the request: Node's message, or what was copied of it at the accept. */
  get head(): Head {
    return this.known
  }

  /** The same, for others: a message that they were given is kept. */
  show(): Http.IncomingMessage | AcceptedRequest {
    this.isShown = true
    return this.known
  }

  /** What Node made of the request, until it has become a connection. */
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
      headers: pairs(known.rawHeaders),
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
    if (socket === undefined) throw new Error("This request has been upgraded already")
    const head = Result.getOrThrow(Handshake.encodeUpgradeResponse(answer))
    if (this.fiber !== undefined) {
      socket.off("end", onEnd)
      socket.off("close", onClose)
    }
    // Whoever holds a response writes nothing.
    if (made !== undefined) {
      HttpInternals.detach(made, socket)
      HttpInternals.endUnwritten(made)
    }
    this.socket = this.early = undefined
    if (!this.isKept) this.known = new AcceptedRequest(this.known)
    return this.server.transports.make(socket, early, head)
  }

  /** Whether Node's message is more to somebody than what is copied of it. */
  private get isKept(): boolean {
    return this.isShown || this.made !== undefined || this.server.isShared() ||
      Object.getPrototypeOf(this.known) !== Http.IncomingMessage.prototype
  }

  expire(): void {
    const { made, socket } = this
    if (made?.headersSent === true || socket === undefined || this.isExpired) return
    this.isExpired = true
    // Past the response, which its handler still has in hand.
    refuse(socket, unavailable)
  }

  /**
   * Leaves the request to `take` where that says so: then nothing is written here any more. One
   * whose response somebody has looked at is not left.
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

  /** Where an answer is written that is no upgrade. */
  get response(): Http.ServerResponse {
    return this.made ??= this.makeResponse()
  }

  private makeResponse(): Http.ServerResponse {
    const { known, socket } = this
    // Of its request it needs no more than a copy has.
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

/** Node's flat list of names and values as pairs, duplicates kept. */
const pairs = (raw: ReadonlyArray<string>): Handshake.HeaderList => {
  const list: Array<readonly [string, string]> = []
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i]!, raw[i + 1]!])
  return list
}
