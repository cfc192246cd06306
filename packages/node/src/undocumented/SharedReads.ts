/**
 * Reads a socket that Node made into one buffer that all connections share, as the option `onread` of
 * `net.Socket` does for a new socket: no chunk is allocated for a read. It is for TLS, whose handle
 * `SocketHandle` does not use. Measured: 16 KiB over TLS in 0.6 of the time.
 *
 * Node keeps the parts of that option under symbols that it does not export. They are found on a socket made for
 * that; `SocketProbe` tries them on its own connection.
 */
import { Primitives } from "@effect-ws/core"
import * as Net from "node:net"
import type { Duplex } from "node:stream"

/** The properties of a socket under which Node keeps the parts of `onread`. */
export interface Keys {
  readonly buffer: symbol
  readonly callback: symbol
  readonly generator: symbol
}

/** Finds the symbols by their values. */
export const findKeys = (): Keys | undefined => {
  const made = { buffer: new Uint8Array(1), callback: () => true }
  type Held = Readonly<Record<symbol, unknown>>
  const held = new Net.Socket({ onread: made }) as unknown as Held
  const generated = new Net.Socket({ onread: { ...made, buffer: () => made.buffer } }) as unknown as Held
  const symbols = Object.getOwnPropertySymbols(held)
  const buffer = symbols.find((symbol) => held[symbol] === made.buffer)
  const callback = symbols.find((symbol) => held[symbol] === made.callback)
  const generator = symbols.find((symbol) => held[symbol] === null && typeof generated[symbol] === "function")
  return buffer === undefined || callback === undefined || generator === undefined ? undefined : { buffer, callback, generator }
}

let keys: Keys | undefined

/** Enables this way of reading by these symbols, or disables it. */
export const enable = (found: Keys | undefined): void => {
  keys = found
}

/** Whether this way of reading is enabled. */
export const isEnabled = (): boolean => keys !== undefined

// A read is processed before the next one.
const buffer = Primitives.sharedBuffer(64 * 1024)

interface Handle {
  readonly useUserBuffer: (buffer: Uint8Array) => void
}

const handleOf = (duplex: Duplex): Handle | null => (duplex as unknown as { readonly _handle: Handle | null })._handle

/** Whether a stream can be read this way: a TLS socket without input that waits. */
export const canShare = (duplex: Duplex): boolean =>
  keys !== undefined && duplex instanceof Net.Socket && "encrypted" in duplex && handleOf(duplex) !== null &&
  duplex.readableLength === 0 && !duplex.destroyed && !duplex.readableEnded

/**
 * Sends reads to `onRead` from now on, with chunks that are valid during the call; `false` stops reading. `pause`,
 * `resume`, `end` and errors remain those of the socket.
 */
export const share = (duplex: Duplex, onRead: (chunk: Uint8Array) => boolean): void => {
  const { buffer: bufferKey, callback, generator } = keys!
  Object.assign(duplex, {
    [bufferKey]: buffer,
    [callback]: (size: number) => onRead(size === buffer.length ? buffer : buffer.subarray(0, size)),
    [generator]: null
  })
  handleOf(duplex)!.useUserBuffer(buffer)
}
