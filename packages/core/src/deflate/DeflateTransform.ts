/**
 * permessage-deflate on one connection (RFC 7692 §6, §7.2): which context a message uses, and
 * when the context is taken and given back.
 */
import type { Decoder, DecodeFailure, Encoder, Transform } from "../MessageExtension.ts"
import { byteLength, type Message } from "../Message.ts"
import type { Agreement } from "./Parameters.ts"
import { extensionName } from "./Parameters.ts"
import type { CompressionBudget, Kept, Shelf } from "./CompressionBudget.ts"
import type { Codec, Compressor, Decompressor } from "./Codec.ts"

/** What is the same for all connections of one extension. */
export interface Shared {
  readonly codec: Codec["Service"]
  readonly budget: CompressionBudget
  readonly level: number
  readonly memLevel: number
  readonly threshold: number
  readonly compress: (message: Message | undefined) => boolean
}

/** The smallest window that a compressor can make. */
export const minCompressorBits = 9

// RFC 7692 §6: RSV1 marks a compressed message.
const rsv1 = 4

const nothing = new Uint8Array(0)

export const makeTransform = (shared: Shared, agreement: Agreement): Transform => {
  const encoder = agreement.ownBits < minCompressorBits ? never : new DeflateEncoder(shared, agreement)
  const decoder = agreement.peerTakeover
    ? new KeepingDecoder(shared, agreement.peerBits)
    : new BorrowingDecoder(shared, agreement.peerBits)
  let open = true
  return {
    name: extensionName,
    rsv: rsv1,
    encoder,
    decoder,
    close: () => {
      if (!open) return
      open = false
      encoder.close()
      decoder.close()
    }
  }
}

/** For a window that zlib does not have: nothing is compressed. */
const never: Encoder & { readonly close: () => void } = {
  sliceSize: Number.MAX_SAFE_INTEGER,
  begin: () => 0,
  push: () => nothing,
  close: () => {}
}

/** Whether a message has at least `threshold` bytes. Most texts are decided without counting. */
const reaches = (message: Message, threshold: number): boolean =>
  message.length >= threshold ||
  (typeof message === "string" && message.length * 3 >= threshold && byteLength(message) >= threshold)

// With a `compress` function, prepared messages are shared only among connections of the same options.
const identities = new WeakMap<object, number>()
let lastIdentity = 0

const shareKey = (shared: Shared, windowBits: number): string => {
  let identity = identities.get(shared.compress)
  if (identity === undefined) identities.set(shared.compress, identity = ++lastIdentity)
  return `${extensionName} ${windowBits} ${shared.level} ${shared.memLevel} ${shared.threshold} ${identity}`
}

class DeflateEncoder implements Encoder {
  readonly sliceSize: number
  readonly shareKey: string | undefined
  readonly #shared: Shared
  readonly #takeover: boolean
  readonly #shelf: Shelf<Compressor>
  readonly #kept: Kept
  /** The context that outlives messages. */
  #own: Compressor | undefined
  /** The context of the current message, once it has bytes. */
  #current: Compressor | undefined

  constructor(shared: Shared, agreement: Agreement) {
    const { budget, codec, level, memLevel } = shared
    this.#shared = shared
    this.#takeover = agreement.ownTakeover
    // §7.1.1: without takeover each message begins with an empty window.
    this.shareKey = agreement.ownTakeover ? undefined : shareKey(shared, agreement.ownBits)
    this.#shelf = budget.compressors(codec, { windowBits: agreement.ownBits, level, memLevel })
    this.sliceSize = codec.sliceSize(level)
    this.#kept = {
      size: this.#shelf.size,
      lastUsed: 0,
      busy: false,
      drop: () => {
        this.#own?.close()
        this.#own = undefined
      }
    }
  }

  begin(message: Message | undefined): number {
    if (message !== undefined && !reaches(message, this.#shared.threshold)) return 0
    return this.#shared.compress(message) ? rsv1 : 0
  }

  push(bytes: Uint8Array, last: boolean): Uint8Array {
    if (this.#current === undefined) {
      // RFC 7692 §7.2.3.6: an empty message is the header of an empty stored block. It
      // changes no window, so no context is needed.
      if (bytes.length === 0) return last ? new Uint8Array(1) : nothing
      this.#current = this.#acquire()
    }
    const out = this.#current.push(bytes, last)
    if (last) this.#settle(this.#current)
    return out
  }

  // A compressor may always forget its window: a borrowed context is one that did.
  #acquire(): Compressor {
    const { budget } = this.#shared
    if (!this.#takeover) return budget.borrow(this.#shelf)
    if (this.#own === undefined) {
      if (!budget.keep(this.#kept)) return budget.borrow(this.#shelf)
      this.#own = this.#shelf.make()
    }
    budget.used(this.#kept)
    this.#kept.busy = true
    return this.#own
  }

  #settle(current: Compressor): void {
    this.#current = undefined
    if (current === this.#own) this.#kept.busy = false
    else this.#shared.budget.giveBack(this.#shelf, current)
  }

  close(): void {
    const { budget } = this.#shared
    if (this.#current !== undefined && this.#current !== this.#own) budget.discard(this.#shelf, this.#current)
    this.#current = undefined
    budget.unkeep(this.#kept)
    this.#kept.drop()
  }
}

/** The peer may refer to earlier messages: its window is kept, and counted from the start. */
class KeepingDecoder implements Decoder {
  readonly #budget: CompressionBudget
  readonly #shelf: Shelf<Decompressor>
  #own: Decompressor | undefined

  constructor({ budget, codec }: Shared, windowBits: number) {
    this.#budget = budget
    this.#shelf = budget.decompressors(codec, { windowBits })
    budget.take(this.#shelf.size)
  }

  begin(): void {
    this.#own ??= this.#shelf.make()
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#own?.push(bytes, last)
  }

  next(): Uint8Array | DecodeFailure | undefined {
    return this.#own?.next()
  }

  close(): void {
    this.#own?.close()
    this.#own = undefined
    this.#budget.release(this.#shelf.size)
  }
}

/** The peer forgets each message: a context is borrowed for each. */
class BorrowingDecoder implements Decoder {
  readonly #budget: CompressionBudget
  readonly #shelf: Shelf<Decompressor>
  #current: Decompressor | undefined
  #last = false

  constructor({ budget, codec }: Shared, windowBits: number) {
    this.#budget = budget
    this.#shelf = budget.decompressors(codec, { windowBits })
  }

  begin(): void {
    this.#current ??= this.#budget.borrow(this.#shelf)
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#last = last
    this.#current?.push(bytes, last)
  }

  next(): Uint8Array | DecodeFailure | undefined {
    const step = this.#current?.next()
    if (step === undefined && this.#last && this.#current !== undefined) {
      this.#budget.giveBack(this.#shelf, this.#current)
      this.#current = undefined
      this.#last = false
    }
    return step
  }

  close(): void {
    if (this.#current !== undefined) this.#budget.discard(this.#shelf, this.#current)
    this.#current = undefined
  }
}
