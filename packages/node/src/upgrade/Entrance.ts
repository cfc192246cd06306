/**
 * Receives the requests of one Node server that offer an upgrade. Each has its turn after earlier requests and goes
 * to the effect that is served; a request that no route wants goes to the other listeners of the server. Before an
 * effect is served, and after that, requests are answered with 503, because Node would never answer them.
 */
import type { Buffer } from "node:buffer"
import type * as Http from "node:http"
import type { Duplex } from "node:stream"
import * as UpgradeChoice from "../undocumented/UpgradeChoice.ts"
import { isTruncated, serveAgain } from "./OrdinaryRequest.ts"
import { notFound, refuse, tooManyHeaders, unavailable } from "./Refusals.ts"
import * as Unanswered from "./Unanswered.ts"

/** A listener for the requests of a Node server that offer an upgrade. */
export type UpgradeListener = (message: Http.IncomingMessage, socket: Duplex, early: Buffer) => void

/** A listener that may leave a request to others. It returns whether it took it. */
export type Taker = (message: Http.IncomingMessage, socket: Duplex, early: Buffer) => boolean

/** How a served effect handles them. */
export interface Served {
  readonly onWebSocket: UpgradeListener
  /** For the protocols that were named besides websocket. */
  readonly onOther: UpgradeListener | undefined
}

/** Whether a request offers one of these protocols, in lower case (RFC 9110 §7.8). It reads the raw headers, because Node would have to make `headers`. */
const offers = ({ rawHeaders }: Http.IncomingMessage, protocols: ReadonlyArray<string>): boolean => {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name.length !== 7 || name.toLowerCase() !== "upgrade") continue
    const value = rawHeaders[i + 1].toLowerCase()
    if (protocols.includes(value)) return true
    if (value.includes(",") && value.split(",").some((one) => protocols.includes(one.trim()))) return true
  }
  return false
}

const webSocket: ReadonlyArray<string> = ["websocket"]

export const isWebSocket = (message: Http.IncomingMessage): boolean => offers(message, webSocket)

const entrances = new WeakMap<Http.Server, Entrance>()
const takers = new WeakMap<Http.Server, Map<unknown, Taker>>()

/** Whether a layer of this library serves HTTP on a server. */
const isServed = (server: Http.Server): boolean => entrances.has(server)

const takersOf = (server: Http.Server): Map<unknown, Taker> => {
  let found = takers.get(server)
  if (found === undefined) takers.set(server, found = new Map<unknown, Taker>())
  return found
}

/** Whether a server has listeners for upgrades that are not of this library. */
const hasStrangers = (server: Http.Server): boolean => {
  const entrance = entrances.get(server)
  const known = takersOf(server)
  return server.listeners("upgrade").some((listener) => listener !== entrance?.onUpgrade && !known.has(listener))
}

/**
 * Takes the upgrades of a server that another part of the program made: by `listener` if no layer of this library
 * serves HTTP on it, otherwise by `taker` those that no route wants. Returns what ends it.
 */
export const attach = (server: Http.Server, listener: UpgradeListener, taker: Taker): () => void => {
  const inTurn: UpgradeListener = (message, socket, early) => {
    if (isServed(server)) return
    // Its ordinary requests may offer anything.
    const isOrdinary = !isWebSocket(message) && !hasStrangers(server)
    Unanswered.afterAnswers(socket, () =>
      isOrdinary ? serveAgain(server, message, socket, early) : listener(message, socket, early)
    )
  }
  takersOf(server).set(inTurn, taker)
  const unchoose = UpgradeChoice.choose(server, (message) => isWebSocket(message) || isServed(server) || hasStrangers(server))
  server.on("request", Unanswered.onRequest)
  server.on("upgrade", inTurn)
  return () => {
    unchoose()
    takersOf(server).delete(inTurn)
    server.off("request", Unanswered.onRequest)
    server.off("upgrade", inTurn)
  }
}

export class Entrance {
  private readonly server: Http.Server
  private readonly protocols: ReadonlyArray<string>
  private readonly handshakeTimeout: number
  private readonly unchoose: () => void
  private served: ReadonlyArray<Served> = []

  /** `protocols` are those that the effect upgrades to besides websocket. */
  constructor(server: Http.Server, protocols: ReadonlyArray<string>, handshakeTimeout: number) {
    this.server = server
    this.protocols = protocols.map((protocol) => protocol.toLowerCase())
    this.handshakeTimeout = handshakeTimeout
    this.unchoose = UpgradeChoice.choose(server, (message) => this.wants(message))
    entrances.set(server, this)
    server.on("request", this.onRequest)
    server.on("upgrade", this.onUpgrade)
  }

  close(): void {
    this.unchoose()
    entrances.delete(this.server)
    this.server.off("request", this.onRequest)
    this.server.off("upgrade", this.onUpgrade)
  }

  /** Serves from now on. Returns what ends it. */
  serve(served: Served): () => void {
    this.served = [served, ...this.served]
    return () => {
      this.served = this.served.filter((other) => other !== served)
    }
  }

  /** Whether other listeners of the server see the same messages. */
  get isShared(): boolean {
    return this.server.listenerCount("upgrade") > 1
  }

  private wants(message: Http.IncomingMessage): boolean {
    return isWebSocket(message) || offers(message, this.protocols)
  }

  private readonly onRequest = (message: Http.IncomingMessage, response: Http.ServerResponse): void => {
    Unanswered.onRequest(message, response)
    if (this.served.length > 0 || this.hasOtherRequestListeners) return
    response.writeHead(503, { "retry-after": "1", "content-length": "0" })
    response.end()
  }

  private get hasOtherRequestListeners(): boolean {
    return this.server.listeners("request").some((one) => one !== this.onRequest && one !== Unanswered.onRequest)
  }

  readonly onUpgrade: UpgradeListener = (message, socket, early) => {
    Unanswered.afterAnswers(socket, () => {
      if (!this.wants(message)) return serveAgain(this.server, message, socket, early)
      if (isTruncated(message, this.server)) return refuse(socket, tooManyHeaders)
      const served = this.served[0]
      const listener = isWebSocket(message) ? served?.onWebSocket : served?.onOther
      if (listener !== undefined) return listener(message, socket, early)
      if (!this.offer(message, socket, early)) refuse(socket, unavailable)
    })
  }

  /** Offers a request that no route wants to the other listeners. Returns whether it is theirs from now on. */
  offer(message: Http.IncomingMessage, socket: Duplex, early: Buffer): boolean {
    for (const take of takersOf(this.server).values()) {
      if (take(message, socket, early)) return true
    }
    if (!hasStrangers(this.server)) return false
    this.answerIfNobodyDoes(socket)
    return true
  }

  /** Node calls every listener, and a foreign one does not say whether it wants a request. */
  private answerIfNobodyDoes(socket: Duplex): void {
    const { bytesWritten } = socket as { readonly bytesWritten?: number }
    socket.on("error", ignore)
    const timer = setTimeout(() => {
      const isUntouched = (socket as { readonly bytesWritten?: number }).bytesWritten === bytesWritten
      if (isUntouched && !socket.destroyed) refuse(socket, notFound)
    }, this.handshakeTimeout)
    timer.unref()
    socket.once("close", () => clearTimeout(timer))
  }
}

const ignore = () => {}
