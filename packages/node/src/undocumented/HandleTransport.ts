/**
 * The fast road of a plain TCP or Unix socket: the transport takes the socket's handle and
 * lets go of the streams around it. All connections read into one shared buffer, a write
 * goes straight to the system, and an idle connection holds a handle, nothing else.
 * Measured beside `data` events and `write` of a `net.Socket`: 13 to 22 % less for each
 * small message, 0.6 for an echo of 1 MiB, and 2 KiB less memory a connection.
 *
 * None of this is in Node's documentation. All that is assumed stands in this file and is
 * looked for first; where something is missing (`--permission`, another runtime), and for
 * TLS, the stream's own road serves: `NodeTransport`.
 */
import { Primitives, Transport, type WebSocketError } from "@effect-ws/core"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { getSystemErrorMap, getSystemErrorName } from "node:util"
import * as NodePrimitives from "../NodePrimitives.ts"

const transportKey = Symbol("transport")

/** What is assumed of a socket's handle. The functions return 0 or a negative `errno`. */
interface Handle {
  [transportKey]?: HandleTransport
  reading: boolean
  onread: (this: Handle) => void
  readonly writeQueueSize: number
  readonly readStart: () => number
  readonly readStop: () => number
  readonly useUserBuffer: (buffer: Uint8Array) => void
  readonly writeBuffer: (request: Request, chunk: Uint8Array) => number
  readonly writeLatin1String: (request: Request, text: string) => number
  readonly writev: (request: Request, chunks: ReadonlyArray<Uint8Array>, allBuffers: true) => number
  readonly shutdown: (request: Request) => number
  readonly close: () => void
}

/** A write or shutdown that the system has not finished. */
interface Request {
  oncomplete?: (this: Request, status: number) => void
  transport?: HandleTransport
  /** Kept alive while they are written. */
  chunks?: ReadonlyArray<Uint8Array>
}

/** What is assumed of a socket, and what it is given when its handle is taken. */
interface SocketInternals {
  _handle: Handle | null
  _server?: unknown
  _destroy: typeof Net.Socket.prototype._destroy
  [transportKey]?: HandleTransport
}

/** A server counts its open connections, and is told to look whether the last one went. */
interface ServerInternals {
  _connections: number
  readonly _emitCloseIfDrained: () => void
}

/** Node's binding of stream handles: how the last call went is read from `streamBaseState`. */
interface StreamBinding {
  readonly WriteWrap: new() => Request
  readonly ShutdownWrap: new() => Request
  readonly streamBaseState: Int32Array
  readonly kReadBytesOrError: number
  readonly kLastWriteWasAsync: number
}

const findBinding = (): StreamBinding | undefined => {
  try {
    const lookUp: unknown = Reflect.get(process, "binding")
    const found: Partial<StreamBinding> = typeof lookUp === "function" ? lookUp.call(process, "stream_wrap") : {}
    const complete = typeof found.WriteWrap === "function" && typeof found.ShutdownWrap === "function" &&
      found.streamBaseState instanceof Int32Array && Number.isInteger(found.kReadBytesOrError) &&
      Number.isInteger(found.kLastWriteWasAsync)
    return complete ? found as StreamBinding : undefined
  } catch {
    return undefined
  }
}

const binding = findBinding()

// A read is handed on before the next one, so one buffer serves all connections.
const buffer = Primitives.sharedBuffer(64 * 1024)

// Each by its name: looked up by a list of names, they cost half a microsecond for each connection.
const isHandle = (handle: Partial<Handle> | null): handle is Handle =>
  typeof handle === "object" && handle !== null && typeof handle.readStart === "function" &&
  typeof handle.readStop === "function" && typeof handle.useUserBuffer === "function" &&
  typeof handle.writeBuffer === "function" && typeof handle.writeLatin1String === "function" &&
  typeof handle.writev === "function" && typeof handle.shutdown === "function" &&
  typeof handle.close === "function" && typeof handle.writeQueueSize === "number"

const isServer = (server: unknown): server is ServerInternals =>
  typeof server === "object" && server !== null && "_connections" in server &&
  typeof server._connections === "number" &&
  "_emitCloseIfDrained" in server && typeof server._emitCloseIfDrained === "function"

let knownOwnerKey: symbol | undefined

/** The property by which Node finds the socket of a handle: the same for all. */
const ownerKey = (handle: object): symbol | undefined => {
  if (knownOwnerKey !== undefined && Object.hasOwn(handle, knownOwnerKey)) return knownOwnerKey
  knownOwnerKey = Object.getOwnPropertySymbols(handle).find((symbol) => symbol.description === "owner_symbol")
  return knownOwnerKey
}

/**
 * Takes over a socket that nobody else reads or writes any more, and writes `head` to it
 * (Latin-1); `undefined` where that cannot be done, and the socket is as it was. To destroy
 * the socket still destroys the connection, and who listened for its `close` before is told
 * when that is gone.
 */
export const take = (
  socket: unknown,
  early: Uint8Array | undefined,
  head?: string
): Transport.Transport | undefined => {
  if (binding === undefined || !(socket instanceof Net.Socket)) return undefined
  // TLS is a subclass, and the socket of someone's own may do more than one sees.
  if (Object.getPrototypeOf(socket) !== Net.Socket.prototype) return undefined
  const internals = socket as unknown as SocketInternals
  const handle = internals._handle
  const server = internals._server ?? undefined
  if (
    !isHandle(handle) || socket.destroyed || socket.connecting || socket.writableLength > 0 ||
    socket.readableLength > 0 || socket.readableEnded || socket.writableEnded ||
    socket.listenerCount("data") > 0 || socket.listenerCount("readable") > 0 ||
    (server !== undefined && !isServer(server))
  ) return undefined
  const owner = ownerKey(handle)
  if (owner === undefined) return undefined
  // One that reads goes on: most transports are started at once, and to take a handle out of the
  // system's poll and put it back costs a call of its own.
  const reading = handle.reading === true
  if (!reading) handle.readStop()
  if (socket.timeout !== undefined && socket.timeout > 0) socket.setTimeout(0)
  // Asked once, the socket remembers it: requests tell it for as long as they live.
  void socket.remoteAddress
  internals._server = null
  internals._handle = null
  // Most sockets nobody waits for, so they need not be kept.
  const watched = socket.listenerCount("close") > 0 ? socket : undefined
  const transport = new HandleTransport(handle, reading, server, watched, early)
  ;(handle as unknown as Record<symbol, unknown>)[owner] = transport
  internals[transportKey] = transport
  internals._destroy = destroyTaken
  if (head !== undefined) transport.writeHead(head)
  return transport
}

/** Destroys a socket whose handle is taken: an error that nobody listens for is nobody's. */
function destroyTaken(this: Net.Socket, error: Error | null, callback: (error?: Error | null) => void): void {
  ;(this as unknown as SocketInternals)[transportKey]!.destroy()
  Net.Socket.prototype._destroy.call(this, this.listenerCount("error") > 0 ? error : null, callback)
}

const systemError = (code: number, syscall: string): Error & { readonly code: string } => {
  const [name, message] = getSystemErrorMap().get(code) ?? [getSystemErrorName(code), "unknown error"]
  return Object.assign(new Error(`${syscall} ${name}: ${message}`), { code: name, errno: code, syscall })
}

// libuv's end of stream.
const endOfFile = -4095

const noBytes = new Uint8Array(0)

const ignore = () => {}

/** Called by Node for each read, with the handle as `this`. */
function onRead(this: Handle): void {
  const size = binding!.streamBaseState[binding!.kReadBytesOrError]!
  if (size !== 0) this[transportKey]!.onRead(size)
}

/** Called by Node when the system has taken a write that it could not take at once. */
function onWritten(this: Request, status: number): void {
  this.transport!.onWritten(status)
}

/** Called by Node when the end of stream is sent, or cannot be. */
function onShutdown(this: Request): void {
  this.transport!.onShutdown()
}

class HandleTransport implements Transport.Transport {
  private readonly handle: Handle
  private server: ServerInternals | undefined
  private watched: Net.Socket | undefined
  private handlers: Transport.TransportHandlers | undefined
  private early: Uint8Array | undefined
  private error: WebSocketError.IOError | undefined
  private paused = false
  // To start reading twice is an error of the system's, and behind the end it would be told again.
  private reading: boolean
  private peerEnded = false
  private ended = false
  private closed = false

  constructor(
    handle: Handle,
    reading: boolean,
    server: ServerInternals | undefined,
    watched: Net.Socket | undefined,
    early: Uint8Array | undefined
  ) {
    this.handle = handle
    this.reading = reading
    this.server = server
    this.watched = watched
    this.early = early !== undefined && early.length > 0 ? early : undefined
    handle[transportKey] = this
    handle.onread = onRead
    handle.useUserBuffer(buffer)
  }

  // Frames are unmasked where they lie, and what outlives the call is copied out.
  get chunks(): "scratch" {
    return "scratch"
  }

  get primitives(): Primitives.Primitives {
    return NodePrimitives.primitives
  }

  start(handlers: Transport.TransportHandlers): void {
    this.handlers = handlers
    if (this.closed) process.nextTick(() => handlers.onClosed(this.error))
    else if (this.early === undefined) this.read()
    else process.nextTick(() => this.readEarly())
  }

  private readEarly(): void {
    const { early, handlers } = this
    if (early === undefined || handlers === undefined || this.paused || this.closed) return
    this.early = undefined
    handlers.onData(early)
    this.read()
  }

  private read(): void {
    if (this.reading || this.paused || this.peerEnded || this.closed || this.handlers === undefined) return
    this.reading = true
    const code = this.handle.readStart()
    if (code !== 0) this.fail("read", code)
  }

  /** The size of what was read into the shared buffer, or a negative `errno`. */
  onRead(size: number): void {
    if (this.closed) return
    const { handlers } = this
    if (handlers === undefined && (size > 0 || size === endOfFile)) {
      this.readTooSoon(size)
    } else if (size > 0) {
      handlers!.onData(size === buffer.length ? buffer : buffer.subarray(0, size))
    } else if (size === endOfFile) {
      this.reading = false
      this.peerEnded = true
      handlers!.onEnd()
      if (!this.closed && this.isOver) this.destroy()
    } else {
      this.fail("read", size)
    }
  }

  /** Nobody listens yet, so what was read is early, and no more is read. The end is told again. */
  private readTooSoon(size: number): void {
    this.reading = false
    if (size === endOfFile) return
    this.handle.readStop()
    this.early = Buffer.concat([this.early ?? noBytes, buffer.subarray(0, size)])
  }

  pause(): void {
    this.paused = true
    if (!this.reading || this.closed) return
    this.reading = false
    this.handle.readStop()
  }

  resume(): void {
    this.paused = false
    if (this.early === undefined) this.read()
    else this.readEarly()
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.closed || this.ended) return true
    const { handle } = this
    const { kLastWriteWasAsync, streamBaseState, WriteWrap } = binding!
    const request = spare ?? new WriteWrap()
    spare = undefined
    const code = chunks.length === 1 ? handle.writeBuffer(request, chunks[0]!) : handle.writev(request, chunks, true)
    if (code !== 0) {
      this.fail("write", code)
      return true
    }
    if (streamBaseState[kLastWriteWasAsync] === 1) {
      request.transport = this
      request.chunks = chunks
      request.oncomplete = onWritten
      return false
    }
    // The system took it at once and knows nothing of the request.
    spare = request
    return true
  }

  onWritten(status: number): void {
    if (this.closed) return
    if (status === 0) this.handlers?.onTaken()
    else this.fail("write", status)
  }

  /**
   * Writes in front of what the connection writes, which waits for none of it: a peer that
   * is gone is told of by reading.
   */
  writeHead(text: string): void {
    const { kLastWriteWasAsync, streamBaseState, WriteWrap } = binding!
    const request = spare ?? new WriteWrap()
    spare = undefined
    const code = this.handle.writeLatin1String(request, text)
    if (code !== 0) this.fail("write", code)
    else if (streamBaseState[kLastWriteWasAsync] === 1) request.oncomplete = ignore
    else spare = request
  }

  pendingBytes(): number {
    return this.closed ? 0 : this.handle.writeQueueSize
  }

  end(): void {
    if (this.closed || this.ended) return
    this.ended = true
    // To close sends the end as well.
    if (this.isOver) return this.destroy()
    const request = new binding!.ShutdownWrap()
    if (this.handle.writeQueueSize > 0) {
      request.transport = this
      request.oncomplete = onShutdown
    }
    // A peer that is gone is told of by reading, so no error counts here.
    this.handle.shutdown(request)
  }

  /** Both ends are told, and nothing is left to be written. */
  private get isOver(): boolean {
    return this.ended && this.peerEnded && this.handle.writeQueueSize === 0
  }

  onShutdown(): void {
    if (this.isOver) this.destroy()
  }

  private fail(phase: "read" | "write", code: number): void {
    this.error ??= Transport.toIOError(phase, systemError(code, phase))
    this.destroy()
  }

  destroy(): void {
    if (this.closed) return
    this.closed = true
    // The system closes it at once; to be called back later would cost a call from Node.
    this.handle.close()
    const { server, watched } = this
    this.server = this.watched = undefined
    if (server !== undefined) {
      server._connections--
      server._emitCloseIfDrained()
    }
    watched?.destroy()
    this.handlers?.onClosed(this.error)
  }
}

// Writes that are not finished at once are few, so nearly all share one request.
let spare: Request | undefined
