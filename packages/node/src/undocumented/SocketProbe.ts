/**
 * Tries on its own connections, once for a process, whether sockets can be used as `SocketHandle` and
 * `SharedReads` use them: it observes how Node's own sockets use their handles, does the same, and compares the
 * bytes. That takes some milliseconds on the loopback interface. If anything differs, or nothing arrives (no
 * network, another runtime, a Node that has changed), documented interfaces are used.
 */
import { Buffer } from "node:buffer"
import { EventEmitter, once } from "node:events"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as SharedReads from "./SharedReads.ts"
import * as SocketHandle from "./SocketHandle.ts"
import { isPortable } from "./Switch.ts"

const closing = new Set<Net.Socket>()

interface Pair {
  readonly near: Net.Socket
  readonly far: Net.Socket
  readonly server: Net.Server
}

/** Both ends of connections to its own server. */
type MakePair = () => Promise<Pair>

const ignore = () => {}

const opened = (socket: Net.Socket): Net.Socket => {
  closing.add(socket)
  return socket.on("error", ignore)
}

/** The server's side of a socket that connects to it. Any process on this machine may connect to the port as well. */
const accepted = (server: Net.Server, far: Net.Socket): Promise<Net.Socket> =>
  new Promise((resolve) => {
    const nears: Array<Net.Socket> = []
    const match = () => {
      // Not every runtime tells its port before.
      if (far.connecting) return
      const near = nears.find(({ remotePort }) => remotePort === far.localPort)
      if (near === undefined) return
      server.off("connection", onConnection)
      for (const other of nears) if (other !== near) other.destroy()
      resolve(near)
    }
    const onConnection = (near: Net.Socket) => {
      nears.push(opened(near))
      match()
    }
    server.on("connection", onConnection)
    far.once("connect", match)
  })

const makePairs = async (server: Net.Server, onPair: (near: Net.Socket) => void): Promise<MakePair> => {
  // Otherwise the workers of a cluster share the port, and one accepts the connections of another's trial.
  server.listen({ host: "127.0.0.1", port: 0, exclusive: true })
  await once(server, "listening")
  const { port } = server.address() as Net.AddressInfo
  return async () => {
    const far = opened(Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true }))
    const [near] = await Promise.all([accepted(server, far), once(far, "connect")])
    onPair(near)
    return { near, far, server }
  }
}

/** The first request of each kind that Node's own socket makes; `null` for a write without a request. */
interface Requests {
  write: SocketHandle.Request | null | undefined
  shutdown: SocketHandle.Request | undefined
}

/** Lets Node write and end, and records what it passes to the handle. */
const watchRequests = (socket: Net.Socket, raw: SocketHandle.RawHandle): Requests => {
  const seen: Requests = { write: undefined, shutdown: undefined }
  const { shutdown, writeBuffer } = raw
  Object.assign(raw, {
    writeBuffer: (request: SocketHandle.Request | null, chunk: Uint8Array) => {
      seen.write = request
      return Reflect.apply(writeBuffer, raw, [request, chunk]) as unknown
    },
    shutdown: (request: SocketHandle.Request) => {
      seen.shutdown = request
      return Reflect.apply(shutdown, raw, [request]) as unknown
    }
  })
  socket.end(Buffer.from("learn"))
  return seen
}

const classOf = (request: SocketHandle.Request): new() => SocketHandle.Request =>
  request.constructor as new() => SocketHandle.Request

/** How Node's own sockets use their handles, as seen on one that writes, ends and reads. */
export const learn = async (pair: MakePair): Promise<SocketHandle.Ways> => {
  const { far, near } = await pair()
  const raw = SocketHandle.rawHandleOf(far)!
  const { shutdown, write } = watchRequests(far, raw)
  near.resume()
  await once(near, "end")
  const owner = Object.getOwnPropertySymbols(raw).find((symbol) => Reflect.get(raw, symbol) === far)
  if (write === undefined || shutdown === undefined || owner === undefined) throw new Error("this Node uses handles in an unknown way")
  return {
    WriteRequest: write === null ? undefined : classOf(write),
    ShutdownRequest: classOf(shutdown),
    owner,
    onread: raw.onread,
    // The class that TCP and Unix sockets have in common.
    base: Object.getPrototypeOf(Object.getPrototypeOf(raw)) as object
  }
}

/** A handle whose calls can be waited for. */
class Tried extends SocketHandle.SocketHandle {
  readonly events = new EventEmitter()
  text = ""
  failure: Error | undefined
  private readonly calls: Array<string> = []

  private note(call: string): void {
    this.calls.push(call)
    this.events.emit(call)
  }
  // Callbacks of Node must not throw, because that would end the process.
  private guarded(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.onFailure("read", error as Error)
    }
  }
  override hasRead(): void {
    this.guarded(() => super.hasRead())
  }
  override hasWritten(status: number): void {
    this.guarded(() => super.hasWritten(status))
  }
  override hasShutDown(status: number): void {
    this.guarded(() => super.hasShutDown(status))
  }
  override onBytes(chunk: Uint8Array): void {
    this.text += Buffer.from(chunk).toString("latin1")
    this.note("bytes")
  }
  override onEndRead(): void {
    this.note("end")
  }
  override onTakenWrite(): void {
    this.note("taken")
  }
  override onShutDown(): void {
    this.note("shutdown")
  }
  override onFailure(_: "read" | "write", error: Error): void {
    this.failure = error
    this.destroy()
    this.note("failure")
  }
  override destroy(): void {
    if (!this.isClosed) this.closeHandle()
  }

  read(): void {
    this.startReading()
  }
  stop(): void {
    this.stopReading()
  }
  send(...chunks: ReadonlyArray<Uint8Array>): boolean {
    return this.write(chunks)
  }
  head(text: string): void {
    this.writeText(text)
  }
  end(): void {
    this.shutDown()
  }
  get queued(): number {
    return this.queuedBytes
  }
  get told(): string {
    return this.calls.join()
  }
  async until(call: string, holds = () => true): Promise<void> {
    while (!(this.calls.includes(call) && holds())) await once(this.events, call)
  }
}

const check = (what: string, holds: boolean): void => {
  if (!holds) throw new Error(`a socket's handle differs: ${what}`)
}

const released = (socket: Net.Socket): Tried => {
  const parts = SocketHandle.release(socket)
  if (parts === undefined) throw new Error("a socket keeps its handle")
  return new Tried(parts)
}

/** Reads a number of bytes, and passes on each chunk with the number of bytes before it. */
const receive = async (socket: Net.Socket, size: number, onChunk: (chunk: Buffer, before: number) => void) => {
  const received = await new Promise<number>((resolve, reject) => {
    let before = 0
    socket.on("data", (chunk: Buffer) => {
      try {
        onChunk(chunk, before)
      } catch (error) {
        reject(error as Error)
      }
      before += chunk.length
      if (before >= size) resolve(before)
    }).resume()
  })
  socket.removeAllListeners("data").pause()
  check("too many bytes", received === size)
}

const receiveText = async (socket: Net.Socket, size: number): Promise<string> => {
  let text = ""
  await receive(socket, size, (chunk) => text += chunk.toString("latin1"))
  return text
}

// More than the system takes for a peer that does not read: some MiB by default.
const piece = Buffer.alloc(1 << 20, "piece of a write that waits;")
const mostPieces = 256

/** Writes until a write waits. Returns the number of pieces. */
const fill = (handle: Tried): number => {
  for (let pieces = 4, before = 0; pieces <= mostPieces; pieces *= 2) {
    if (!handle.send(...Array.from({ length: pieces }, () => piece))) return before + pieces
    before += pieces
  }
  throw new Error("a write never waits")
}

/** Earlier writes cross the loopback interface before this one, so they would be read by now. */
const crossed = async (pair: MakePair): Promise<void> => {
  const { far, near } = await pair()
  near.end("there")
  await receiveText(far, 5)
}

/** Reads, writes, ends and closes; then the ways in which connections break. */
const tryHandles = async (pair: MakePair): Promise<void> => {
  const { far, near, server } = await pair()
  far.write("one")
  const handle = released(near)
  handle.read()
  await handle.until("bytes")
  handle.stop()
  far.write("two")
  await crossed(pair)
  check("it reads while it is stopped", handle.text === "one")
  handle.read()
  await handle.until("bytes", () => handle.text === "onetwo")

  handle.head("h\u00e9ad")
  check("a small write waits", handle.send(Buffer.from("a")) && handle.send(Buffer.from("b"), Buffer.from("c")))
  check("bytes", await receiveText(far, 7) === "h\u00e9adabc")
  const pieces = fill(handle)
  check("a write that waits is not counted", handle.queued > 0)
  handle.end()
  await receive(far, pieces * piece.length, (chunk, before) => {
    const at = before % piece.length
    const first = chunk.subarray(0, piece.length - at)
    check("bytes", first.equals(piece.subarray(at, at + first.length)))
  })
  await Promise.all([handle.until("taken"), handle.until("shutdown"), far.readableEnded || once(far.resume(), "end")])
  check("what is taken is counted", handle.queued === 0)
  far.end()
  await handle.until("end")
  check(handle.told, /^bytes,(bytes,)+taken,shutdown,end$/.test(handle.told))
  check("a server's count", await countOf(server) > 0)
  const before = await countOf(server)
  handle.destroy()
  check("a server's count", await countOf(server) === before - 1)
}

const countOf = (server: Net.Server): Promise<number> =>
  new Promise((resolve, reject) => {
    server.getConnections((error, count) => error === null ? resolve(count) : reject(error))
  })

/** A reset is reported to the reader, and to a write that waits. */
const tryResets = async (pair: MakePair): Promise<void> => {
  const [reader, writer] = [await pair(), await pair()]
  const [reads, writes] = [released(reader.near), released(writer.near)]
  reads.read()
  fill(writes)
  for (const { far } of [reader, writer]) far.resetAndDestroy()
  await Promise.all([reads.until("failure"), writes.until("failure")])
  check("the code of a reset", Reflect.get(reads.failure!, "code") === "ECONNRESET")
}

// TLS without certificates, by a key that only these two ends have.
const psk = { psk: Buffer.alloc(32, "effect-ws"), identity: "probe" }
const psks = { ciphers: "PSK", minVersion: "TLSv1.2", maxVersion: "TLSv1.2" } as const

const tryTls = async (pair: MakePair): Promise<void> => {
  const { far, near } = await pair()
  const options = { isServer: true, secureContext: Tls.createSecureContext(psks), pskCallback: () => psk.psk }
  const secureNear = new Tls.TLSSocket(near, options)
  const secureFar = Tls.connect({ socket: far, ...psks, pskCallback: () => psk, checkServerIdentity: () => undefined })
  // They close the sockets beneath them. Node crashes if those are closed first.
  closing.delete(near)
  closing.delete(far)
  for (const socket of [secureNear, secureFar]) opened(socket)
  await once(secureFar, "secureConnect")
  check("TLS cannot be shared", SharedReads.canShare(secureNear))
  const read = { text: "", goesOn: false, events: new EventEmitter() }
  SharedReads.share(secureNear, (chunk) => {
    read.text += Buffer.from(chunk).toString("latin1")
    read.events.emit("bytes")
    return read.goesOn
  })
  const until = async (text: string) => {
    while (read.text !== text) await once(read.events, "bytes")
  }
  secureNear.resume()
  secureFar.write("one")
  await until("one")
  // That was the last chunk before reading was stopped.
  secureFar.write("two")
  await crossed(pair)
  check("TLS reads while it is stopped", read.text === "one")
  read.goesOn = true
  secureNear.resume()
  secureFar.end("three")
  await once(secureNear, "end")
  check("bytes of TLS", read.text === "onetwothree")
}

/** The parts of a trial. */
export interface Parts {
  readonly learn: (pair: MakePair) => Promise<SocketHandle.Ways>
  readonly findKeys: () => SharedReads.Keys | undefined
  /** Called with the sockets whose handles are tried. */
  readonly onPair: (near: Net.Socket) => void
  /** Milliseconds after which the trial has failed. */
  readonly patience: number
}

/** Learns and tries. Whatever fails is not enabled. Tests replace parts. */
export const run = async (replaced: Partial<Parts> = {}): Promise<void> => {
  // Nothing here depends on another process, so this is a bound for an overloaded machine.
  const parts: Parts = { learn, findKeys: SharedReads.findKeys, onPair: ignore, patience: 5000, ...replaced }
  SocketHandle.enable(undefined)
  SharedReads.enable(undefined)
  const server = Net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
  server.on("error", ignore)
  try {
    const pair = await makePairs(server, parts.onPair)
    await attempt(async () => {
      SocketHandle.enable(await parts.learn(pair))
      await tryHandles(pair)
      await tryResets(pair)
    }, parts.patience, () => SocketHandle.enable(undefined))
    await attempt(async () => {
      SharedReads.enable(parts.findKeys())
      await tryTls(pair)
    }, parts.patience, () => SharedReads.enable(undefined))
  } catch {
    // It cannot listen.
  } finally {
    server.close()
    for (const socket of closing) socket.destroy()
    closing.clear()
  }
}

const attempt = async (tried: () => Promise<void>, patience: number, disable: () => void): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the trial took too long")), patience)
  })
  try {
    await Promise.race([tried(), late])
  } catch {
    disable()
  } finally {
    clearTimeout(timer)
  }
}

let ran: Promise<void> | undefined

/** Tries once; with documented interfaces only, never. */
export const whenTried = (): Promise<void> => ran ??= isPortable ? Promise.resolve() : run()
