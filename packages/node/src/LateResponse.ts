/**
 * The response to a request that may become a WebSocket. Most of them do, and then nobody
 * ever writes it: so it is made once it is looked at. Measured: 1 KiB for each connection,
 * for as long as it lives.
 */
import * as Http from "node:http"
import type * as Net from "node:net"
import type { Duplex } from "node:stream"

type Listener = (this: unknown) => void

const target = Object.create(Http.ServerResponse.prototype) as Http.ServerResponse

// How long a refused client may take to read its answer and to end.
const lingerMillis = 500

/** Whether an earlier request on the connection, of which Node has let go, is not answered yet. */
export const isAwaited = (socket: Duplex): boolean =>
  "_httpMessage" in socket && socket._httpMessage !== null && socket._httpMessage !== undefined

export class LateResponse implements ProxyHandler<Http.ServerResponse> {
  /** What passes for the response. */
  readonly proxy: Http.ServerResponse = new Proxy(target, this)

  /** The connection, until it has left HTTP. */
  socket: Duplex | undefined
  /** What the client sent early; the same. */
  early: Uint8Array | undefined
  private readonly request: Http.IncomingMessage
  private made: Http.ServerResponse | undefined
  // What listens to the response before there is one.
  private listeners: Array<readonly ["on" | "prependListener", event: string, Listener]> | undefined
  private off: (() => void) | undefined

  constructor(request: Http.IncomingMessage, socket: Duplex, early: Uint8Array) {
    this.request = request
    this.socket = socket
    this.early = early
    // Nobody reads yet, so only this tells that the client went away.
    const onEnd = () => {
      if (this.made?.writableEnded !== true) socket.destroy()
    }
    const onClose = () => {
      // A response that is there is told by the socket.
      if (this.made !== undefined) return
      for (const [, event, listener] of this.listeners ?? []) if (event === "close") listener.call(this.proxy)
    }
    socket.on("end", onEnd)
    socket.on("close", onClose)
    this.off = () => {
      socket.off("end", onEnd)
      socket.off("close", onClose)
    }
  }

  /** Whether an answer is on its way. */
  get headersSent(): boolean {
    return this.made?.headersSent === true
  }

  /** The connection has left HTTP: whoever holds the response writes nothing. */
  leave(): void {
    const { made } = this
    if (made !== undefined) {
      made.detachSocket(this.socket as Net.Socket)
      endUnwritten(made)
    }
    this.off?.()
    this.socket = this.early = this.listeners = this.off = undefined
  }

  get(_: Http.ServerResponse, key: string | symbol): unknown {
    if (this.made === undefined) {
      if (key === "writableEnded") return this.socket === undefined
      if (key === "on" || key === "prependListener") return this.listen(key)
    }
    const { response } = this
    const value: unknown = Reflect.get(response, key)
    // Node compares a socket's response with `this`.
    return typeof value === "function" ? value.bind(response) : value
  }

  set(_: Http.ServerResponse, key: string | symbol, value: unknown): boolean {
    return Reflect.set(this.response, key, value)
  }

  has(_: Http.ServerResponse, key: string | symbol): boolean {
    return Reflect.has(this.response, key)
  }

  private listen(method: "on" | "prependListener") {
    return (event: string, listener: Listener): Http.ServerResponse => {
      if (this.made !== undefined) this.made[method](event, listener)
      else if (this.socket !== undefined) (this.listeners ??= []).push([method, event, listener])
      return this.proxy
    }
  }

  private get response(): Http.ServerResponse {
    return this.made ??= this.make()
  }

  private make(): Http.ServerResponse {
    const { listeners, socket } = this
    const response = new Http.ServerResponse(this.request)
    response.shouldKeepAlive = false
    if (socket === undefined) {
      endUnwritten(response)
      return response
    }
    // A refusal is an ordinary response, after which the connection ends.
    response.on("finish", () => {
      if (this.socket === undefined) return
      response.detachSocket(socket as Net.Socket)
      endSoon(socket)
    })
    for (const [method, event, listener] of listeners ?? []) response[method](event, listener)
    this.listeners = undefined
    response.assignSocket(socket as Net.Socket)
    return response
  }
}

/** Ends a response that has left its socket, so that whoever holds it writes nothing. */
const endUnwritten = (response: Http.ServerResponse): void => {
  // What `end` sets; it would also make a head, and events, for nobody.
  Object.assign(response, { finished: true })
  if (!response.writableEnded) response.end()
}

/** Ends a refused connection, whether the client does or not. */
export const endSoon = (socket: Duplex): void => {
  socket.end()
  // What still comes is dropped, or the client's end behind it would never be seen.
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), lingerMillis)
  socket.once("close", () => clearTimeout(timer))
}
