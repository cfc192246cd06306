/**
 * A bound on the memory of all compression contexts of a process.
 */
import { share } from "../Limits.ts"
import type { Codec, Compressor, CompressorOptions, Decompressor, DecompressorOptions } from "./Codec.ts"

/**
 * How much the contexts may take.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The most contexts at once. Default 8,192. */
  readonly contexts?: number | undefined
  /** The most bytes of contexts at once. Default 256 MiB. */
  readonly bytes?: number | undefined
  /** How many processes share these. Default 1. */
  readonly processes?: number | undefined
}

/** A compressor that outlives its messages. Between two messages its owner can give it up. */
export interface Kept {
  readonly size: number
  /** The budget's count of messages at its last use. */
  lastUsed: number
  /** Whether it is in the middle of a message. */
  busy: boolean
  /** Closes it. */
  readonly drop: () => void
}

/** Contexts of one kind, each of which is borrowed for one message. */
export interface Shelf<A> {
  readonly size: number
  readonly make: () => A
  readonly idle: Array<A>
}

interface Shelves {
  readonly compressors: Map<number, Shelf<Compressor>>
  readonly decompressors: Map<number, Shelf<Decompressor>>
}

const defaultContexts = 8192
const defaultBytes = 256 * 1024 * 1024

// How much of the budget kept contexts may take, so that room is left for borrowed ones. Our own compressor can
// always be given up; the window of a peer, once agreed upon, cannot. So compressors stop first.
const compressorShare = 6 / 8
const decompressorShare = 7 / 8

// A kept compressor is idle after this many messages per kept compressor.
const idleMessages = 64

// This many contexts of one kind wait to be borrowed again.
const maxIdle = 4

/**
 * A bound on the compression contexts of a process, by count and by measured bytes.
 *
 * **Details**
 *
 * A connection has up to two contexts. Once three quarters of the budget are taken, no more
 * compressors are kept between messages (each message is compressed by itself), unless one
 * that was idle for long can be dropped. Once seven eighths are taken, new connections ask
 * their peer to forget each message (`no_context_takeover`), so that inflating takes memory
 * only while a message is being received. Once all is taken, new connections have no
 * compression. A context counts from the opening of the connection if the peer's window must
 * be kept, otherwise from its first use, until the connection is closed.
 *
 * **Gotchas**
 *
 * Agreements are kept: messages that are being received or sent can exceed the budget.
 *
 * @category models
 * @since 0.1.0
 */
export class CompressionBudget {
  readonly maxContexts: number
  readonly maxBytes: number
  #contexts = 0
  #bytes = 0
  #messages = 0
  readonly #kept = new Set<Kept>()
  readonly #shelves = new WeakMap<object, Shelves>()

  constructor(options: Options = {}) {
    this.maxContexts = share(options.contexts ?? defaultContexts, options.processes)
    this.maxBytes = share(options.bytes ?? defaultBytes, options.processes)
  }

  /** The number of contexts that are taken now. */
  get contexts(): number {
    return this.#contexts
  }

  /** The bytes that are taken now. */
  get bytes(): number {
    return this.#bytes
  }

  /** @internal */
  fits(size: number, share: number): boolean {
    return this.#bytes + size <= this.maxBytes * share && this.#contexts + 1 <= this.maxContexts * share
  }

  /**
   * What a new connection may agree to, given the size of the peer's window.
   *
   * @internal
   */
  room(size: number): "keep" | "borrow" | "none" {
    return this.fits(size, decompressorShare) ? "keep" : this.fits(size, 1) ? "borrow" : "none"
  }

  /** @internal */
  take(size: number): void {
    this.#contexts++
    this.#bytes += size
  }

  /** @internal */
  release(size: number): void {
    this.#contexts--
    this.#bytes -= size
  }

  /**
   * Reserves room for a compressor that is to be kept, for a message. Without room the
   * message still counts.
   *
   * @internal
   */
  keep(kept: Kept): boolean {
    this.#messages++
    if (!this.fits(kept.size, compressorShare) && !(this.#dropIdle() && this.fits(kept.size, compressorShare))) {
      return false
    }
    this.take(kept.size)
    this.#kept.add(kept)
    return true
  }

  /** @internal */
  used(kept: Kept): void {
    kept.lastUsed = ++this.#messages
  }

  /** @internal */
  unkeep(kept: Kept): void {
    if (this.#kept.delete(kept)) this.release(kept.size)
  }

  // Looks at one compressor each time, so that the cost does not depend on their number.
  #dropIdle(): boolean {
    for (const kept of this.#kept) {
      if (!kept.busy && this.#messages - kept.lastUsed > idleMessages * this.#kept.size) {
        this.unkeep(kept)
        kept.drop()
        return true
      }
      this.#kept.delete(kept)
      this.#kept.add(kept)
      return false
    }
    return false
  }

  #shelvesOf(codec: Codec["Service"]): Shelves {
    let shelves = this.#shelves.get(codec)
    if (shelves === undefined) {
      shelves = { compressors: new Map(), decompressors: new Map() }
      this.#shelves.set(codec, shelves)
    }
    return shelves
  }

  /** @internal */
  compressors(codec: Codec["Service"], options: CompressorOptions): Shelf<Compressor> {
    const { compressors } = this.#shelvesOf(codec)
    const key = (options.windowBits * 16 + options.level) * 16 + options.memLevel
    const there = compressors.get(key)
    if (there !== undefined) return there
    const size = codec.compressorBytes(options)
    const made: Shelf<Compressor> = { size, make: () => codec.compressor(options), idle: [] }
    compressors.set(key, made)
    return made
  }

  /** @internal */
  decompressors(codec: Codec["Service"], options: DecompressorOptions): Shelf<Decompressor> {
    const { decompressors } = this.#shelvesOf(codec)
    const there = decompressors.get(options.windowBits)
    if (there !== undefined) return there
    const size = codec.decompressorBytes(options)
    const made: Shelf<Decompressor> = { size, make: () => codec.decompressor(options), idle: [] }
    decompressors.set(options.windowBits, made)
    return made
  }

  /** @internal */
  borrow<A>(shelf: Shelf<A>): A {
    const idle = shelf.idle.pop()
    if (idle !== undefined) return idle
    this.take(shelf.size)
    return shelf.make()
  }

  /** @internal */
  giveBack<A extends { readonly reset: () => void; readonly close: () => void }>(shelf: Shelf<A>, borrowed: A): void {
    if (shelf.idle.length < maxIdle && this.#bytes <= this.maxBytes && this.#contexts <= this.maxContexts) {
      borrowed.reset()
      shelf.idle.push(borrowed)
    } else {
      this.discard(shelf, borrowed)
    }
  }

  /** @internal */
  discard<A extends { readonly close: () => void }>(shelf: Shelf<A>, borrowed: A): void {
    borrowed.close()
    this.release(shelf.size)
  }
}
