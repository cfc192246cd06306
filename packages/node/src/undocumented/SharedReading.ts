/**
 * Reading a socket that somebody else made into a buffer that all connections share, as
 * `onread` of `net.Socket` does for a socket of one's own: no chunk is allocated for each
 * read. For TLS, whose handle `HandleTransport` leaves alone.
 *
 * That option is kept under symbols that Node does not export. They are found on a probe;
 * where something is missing, `data` events serve.
 */
import { Primitives } from "@effect-ws/core"
import * as Net from "node:net"
import type { Duplex } from "node:stream"

const names = ["kBuffer", "kBufferCb", "kBufferGen"] as const

type Keys = Readonly<Record<typeof names[number], symbol>>

const findKeys = (): Keys | undefined => {
  const probe = new Net.Socket({ onread: { buffer: new Uint8Array(1), callback: () => true } })
  const symbols = Object.getOwnPropertySymbols(probe)
  const found = names.map((name) => [name, symbols.find((symbol) => symbol.description === name)] as const)
  return found.every(([, symbol]) => symbol !== undefined) ? Object.fromEntries(found) as Keys : undefined
}

const keys = findKeys()

// A read is handed on before the next one.
const buffer = Primitives.sharedBuffer(64 * 1024)

interface Handle {
  readonly useUserBuffer: (buffer: Uint8Array) => void
}

const handleOf = (duplex: Duplex): Handle | undefined => {
  const handle: unknown = Reflect.get(duplex, "_handle")
  return typeof handle === "object" && handle !== null && typeof Reflect.get(handle, "useUserBuffer") === "function"
    ? handle as Handle
    : undefined
}

/** Whether a stream can be read in this way: a TLS socket of which nothing was read that still waits. */
export const canShare = (duplex: Duplex): boolean =>
  keys !== undefined && duplex instanceof Net.Socket && "encrypted" in duplex && handleOf(duplex) !== undefined &&
  duplex.readableLength === 0 && !duplex.destroyed && !duplex.readableEnded

/**
 * From now on reads go to `onRead`, with chunks that are valid during the call; `false`
 * stops the reading. `pause`, `resume`, `end` and errors are the socket's as before.
 */
export const share = (duplex: Duplex, onRead: (chunk: Uint8Array) => boolean): void => {
  Object.assign(duplex, {
    [keys!.kBuffer]: buffer,
    [keys!.kBufferCb]: (size: number) => onRead(size === buffer.length ? buffer : buffer.subarray(0, size)),
    [keys!.kBufferGen]: null
  })
  handleOf(duplex)!.useUserBuffer(buffer)
}
