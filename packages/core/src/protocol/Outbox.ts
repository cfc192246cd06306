/**
 * Frames that wait to be written: encoded once, joined into few chunks, written at once.
 *
 * Small frames are copied into a staging buffer. A large payload of a server is sent uncopied,
 * so its caller must not change it before the transport has taken it. Staging buffers come from
 * a shared pool and return to it once they are taken, so an idle connection holds none. So does the
 * memory of large payloads, where it is lent: that which a client masks them into, and that of messages
 * which a relay passes on. A buffer that the transport still reads is never written to.
 */
import { joined } from "../codec/Bytes.ts"
import { headerLength, writeHeader } from "../codec/FrameHeader.ts"
import { maskInPlace, maskInto, MaskKeys } from "../codec/Mask.ts"
import { sharedBuffer } from "../codec/Simd.ts"
import { endLoan, lentMemoryOf, type Memory, withHeader } from "../memory/LentMemory.ts"
import { Block, put } from "../memory/SpareMemory.ts"
import type { Primitives } from "../Primitives.ts"
import * as SentText from "./SentText.ts"

// Larger buffers save little (one chunk in the same write) and cost memory for every slow peer,
// whose last write keeps its buffer.
const stagingSize = 16 * 1024

/** Payloads up to this size are copied; the copy costs less than a chunk of its own. */
export const copyLimit = 8 * 1024

// Below this many UTF-16 units a text fits the staging buffer whatever it encodes to.
const textCopyLimit = Math.floor((stagingSize - 14) / 3)

// While the transport is blocked only the latest Ping needs its Pong (RFC 6455
// §5.5.3); this many may wait for the next write of an unblocked one.
const maxUrgent = 128

const pool: Array<Uint8Array> = []
const maxPooled = 64
// The number of connections that one broadcast may reach in a turn.
const maxBlank = 1024

/** A staging buffer, or the memory of a payload. */
type Held = Uint8Array | Block

const giveBack = (buffer: Held): void => {
  if (buffer instanceof Block) return put(buffer)
  SentText.forget(buffer)
  if (pool.length < maxPooled) pool.push(buffer)
}

// The buffer of an empty outbox: one for all, never written to.
const nothing: Array<Uint8Array> = []

// What was joined last. In a fan-out the next connection joins the same frames, and those after it share the result. Frames that
// were encoded for many are never written to. A chunk of one connection only, such as a part of a staging buffer, is an object of
// its own, so that nothing with one in it is ever the same.
let lastFrames: ReadonlyArray<Uint8Array> = nothing
let lastJoined: Uint8Array | undefined

const areLast = (frames: ReadonlyArray<Uint8Array>): boolean => {
  if (frames.length !== lastFrames.length) return false
  // The latest differs most.
  for (let at = frames.length - 1; at >= 0; at--) if (frames[at] !== lastFrames[at]) return false
  return true
}

/** Frames that nobody writes to, as one chunk that nobody writes to, where others have asked for the same. */
const sharedJoin = (frames: ReadonlyArray<Uint8Array>): Uint8Array | undefined => {
  if (areLast(frames)) return lastJoined ??= joined(frames)
  lastFrames = frames
  lastJoined = undefined
  return undefined
}

export class Outbox {
  /** Bytes accepted and not yet taken by `take`. */
  queuedBytes = 0

  private chunks = nothing
  // Whether small chunks wait to be joined.
  private joinable = false
  private staging: Uint8Array | undefined
  private start = 0
  private end = 0
  // Few connections need the fields that may be undefined.
  private urgent: Array<Uint8Array> | undefined
  // Staging buffers that are full and memory of payloads: what is not taken yet, and what is.
  private full: Array<Held> | undefined
  private lent: Array<Held> | undefined

  readonly primitives: Primitives
  // Of payloads that are masked.
  private readonly memory: Memory
  private readonly maskKeys: MaskKeys | undefined

  /** A client has `maskKeys` and masks; a server does not (RFC 6455 §5.1). */
  constructor(primitives: Primitives, maskKeys: MaskKeys | undefined) {
    this.primitives = primitives
    this.memory = lentMemoryOf(primitives)
    this.maskKeys = maskKeys
  }

  /** Whether nothing waits, and the transport has taken everything. */
  get isBlank(): boolean {
    return this.queuedBytes === 0 && this.lent === undefined && this.staging === undefined && this.full === undefined
  }

  /** Appends a frame. `firstByte` is FIN, RSV and opcode as on the wire. */
  frame(firstByte: number, payload: Uint8Array): void {
    const size = payload.length
    const maskKeys = this.maskKeys
    if (maskKeys === undefined) {
      if (size > copyLimit) {
        if (this.lentFrame(firstByte, payload, 0)) return
        const at = this.reserve(14)
        this.end = writeHeader(this.staging!, at, firstByte, size, false, 0)
        this.queuedBytes += this.end - at + size
        this.closeStaging()
        this.push(payload)
        return
      }
      const at = this.reserve(size + 14)
      const body = writeHeader(this.staging!, at, firstByte, size, false, 0)
      this.staging!.set(payload, body)
      this.end = body + size
      this.queuedBytes += this.end - at
      return
    }
    const key = maskKeys.next()
    if (size > copyLimit) {
      if (this.lentFrame(firstByte, payload, key)) return
      const chunk = this.memory.allocate(headerLength(size, true) + size)
      const body = writeHeader(chunk, 0, firstByte, size, true, key)
      maskInto(payload, 0, size, chunk, body, key, 0)
      this.append(chunk)
      this.hold(chunk)
      return
    }
    const at = this.reserve(size + 14)
    const body = writeHeader(this.staging!, at, firstByte, size, true, key)
    maskInto(payload, 0, size, this.staging!, body, key, 0)
    this.end = body + size
    this.queuedBytes += this.end - at
  }

  /** Appends a frame whose payload is `text` as UTF-8; lone surrogates become U+FFFD. */
  text(firstByte: number, text: string): void {
    const { maskKeys, primitives } = this
    if (text.length > textCopyLimit) {
      if (maskKeys === undefined) return this.frame(firstByte, SentText.encodedOnce(text, primitives))
      const size = primitives.utf8Length(text)
      const key = maskKeys.next()
      const chunk = this.memory.allocate(headerLength(size, true) + size)
      const body = writeHeader(chunk, 0, firstByte, size, true, key)
      primitives.encodeUtf8Into(text, chunk, body)
      maskInPlace(chunk, body, body + size, key, 0)
      this.append(chunk)
      this.hold(chunk)
      return
    }
    const masked = maskKeys !== undefined
    const at = this.reserve(text.length * 3 + 14)
    const staging = this.staging!
    const known = masked ? -1 : SentText.find(text)
    if (known >= 0) {
      const body = writeHeader(staging, at, firstByte, known, false, 0)
      SentText.copyFound(staging, body)
      this.end = body + known
      this.queuedBytes += this.end - at
      return
    }
    const key = masked ? maskKeys.next() : 0
    // The length of the header depends on the encoded size. The guess is that the text is ASCII; if it is
    // not, the payload moves by the difference.
    const guess = at + headerLength(text.length, masked)
    const size = primitives.encodeUtf8Into(text, staging, guess)
    const body = at + headerLength(size, masked)
    if (body !== guess) staging.copyWithin(body, guess, guess + size)
    writeHeader(staging, at, firstByte, size, masked, key)
    if (masked) maskInPlace(staging, body, body + size, key, 0)
    else SentText.remember(text, staging, body, body + size)
    this.end = body + size
    this.queuedBytes += this.end - at
  }

  /**
   * Appends a frame that was encoded for many connections and is never written to again. It is
   * not copied before `take`, so that a thousand connections need no staging buffers.
   */
  encoded(frame: Uint8Array): void {
    this.append(frame)
    this.joinable ||= frame.length <= copyLimit
  }

  /** Joins adjacent small frames into one chunk. */
  private join(): void {
    const { chunks, queuedBytes } = this
    this.joinable = false
    if (chunks.length === 1) return
    this.chunks = nothing
    const shared = queuedBytes <= stagingSize ? sharedJoin(chunks) : undefined
    if (shared !== undefined) return this.push(shared)
    for (const chunk of chunks) {
      if (chunk.length > copyLimit) {
        this.append(chunk)
      } else {
        const at = this.reserve(chunk.length)
        this.staging!.set(chunk, at)
        this.end = at + chunk.length
      }
    }
    this.closeStaging()
    this.queuedBytes = queuedBytes
  }

  /**
   * Appends a control frame that overtakes what waits. `latestOnly`: the transport is
   * blocked, so a waiting one is replaced (RFC 6455 §5.5.3).
   */
  urgentFrame(firstByte: number, payload: Uint8Array, latestOnly: boolean): void {
    const masked = this.maskKeys !== undefined
    const key = masked ? this.maskKeys.next() : 0
    const size = payload.length
    const frame = new Uint8Array(headerLength(size, masked) + size)
    const body = writeHeader(frame, 0, firstByte, size, masked, key)
    maskInto(payload, 0, size, frame, body, key, 0)
    const urgent = this.urgent ??= []
    if (urgent.length >= maxUrgent || (latestOnly && urgent.length > 0)) {
      const last = urgent.length - 1
      this.queuedBytes -= urgent[last].length
      urgent[last] = frame
    } else {
      urgent.push(frame)
    }
    this.queuedBytes += frame.length
  }

  /**
   * Everything that waits, in order, as few chunks. They belong to the transport until `taken`
   * is called; `take` must not be called in between.
   */
  take(): Array<Uint8Array> {
    this.closeStaging()
    if (this.joinable) this.join()
    if (this.lent !== undefined) this.leaveBlocks()
    const { full, urgent } = this
    const chunks = urgent === undefined ? this.chunks : urgent.concat(this.chunks)
    this.urgent = undefined
    this.chunks = nothing
    this.queuedBytes = 0
    if (full !== undefined) {
      for (const buffer of full) this.lend(buffer)
      this.full = undefined
    }
    if (this.staging !== undefined) {
      this.lend(this.staging)
      this.staging = undefined
    }
    return chunks === nothing ? [] : chunks
  }

  /** The transport reads none of the chunks any more. */
  taken(): void {
    const { lent } = this
    if (lent === undefined) return
    for (const buffer of lent) giveBack(buffer)
    this.lent = undefined
  }

  /** Appends a payload that a relay passes on as it is: its memory is this outbox's from here on, the room in front of it too. */
  private lentFrame(firstByte: number, payload: Uint8Array, key: number): boolean {
    const block = endLoan(payload)
    if (block === undefined) return false
    const masked = this.maskKeys !== undefined
    const size = payload.length
    const chunk = withHeader(block, payload, headerLength(size, masked))
    const body = writeHeader(chunk, 0, firstByte, size, masked, key)
    if (masked) maskInPlace(chunk, body, body + size, key, 0)
    this.append(chunk)
    this.keep(block)
    return true
  }

  /** Memory that is lent to a chunk returns once that is taken. */
  private hold(chunk: Uint8Array): void {
    const block = endLoan(chunk)
    if (block !== undefined) this.keep(block)
  }

  private keep(block: Block): void {
    if (this.full === undefined) this.full = [block]
    else this.full.push(block)
  }

  /** Memory of payloads that were taken is left to the collector: nobody says that the transport no longer reads it. */
  private leaveBlocks(): void {
    this.lent = this.lent?.filter((buffer) => !(buffer instanceof Block))
  }

  private lend(buffer: Held): void {
    if (this.lent === undefined) this.lent = [buffer]
    else this.lent.push(buffer)
  }

  /**
   * Drops what waits. Buffers that the transport may still read are kept until `taken` is
   * called.
   */
  clear(): void {
    this.leaveBlocks()
    this.chunks = nothing
    this.joinable = false
    if (this.full !== undefined) for (const buffer of this.full) giveBack(buffer)
    this.urgent = this.full = undefined
    if (this.staging !== undefined) giveBack(this.staging)
    this.staging = undefined
    this.start = this.end = 0
    this.queuedBytes = 0
  }

  private append(chunk: Uint8Array): void {
    this.closeStaging()
    this.push(chunk)
    this.queuedBytes += chunk.length
  }

  // An array of one is all that most writes need; pushed to an empty one, V8 makes it 17 long.
  private push(chunk: Uint8Array): void {
    if (this.chunks === nothing) this.chunks = [chunk]
    else this.chunks.push(chunk)
  }

  /** Makes room for `size` bytes in the staging buffer and returns where they start. */
  private reserve(size: number): number {
    if (this.staging !== undefined) {
      if (this.end + size <= stagingSize) return this.end
      this.closeStaging()
      // Not lent yet: `taken` concerns what was taken before.
      const full = this.full ??= []
      full.push(this.staging)
    }
    this.staging = pool.pop() ?? sharedBuffer(stagingSize)
    this.start = this.end = 0
    return 0
  }

  private closeStaging(): void {
    if (this.end > this.start) {
      this.push(this.staging!.subarray(this.start, this.end))
      this.start = this.end
    }
  }
}

/**
 * The outboxes of all connections of one kind. A connection has one from its first byte until
 * the transport has taken the last: an idle one holds none (measured: 100 bytes).
 */
export class Outboxes {
  readonly primitives: Primitives
  private readonly maskKeys: MaskKeys | undefined
  private readonly blank: Array<Outbox> = []

  /** Given `maskKeys`, those of clients. */
  constructor(primitives: Primitives, maskKeys: MaskKeys | undefined) {
    this.primitives = primitives
    this.maskKeys = maskKeys
  }

  /** Whether they are a client's: payloads are masked (RFC 6455 §5.3). */
  get isMasking(): boolean {
    return this.maskKeys !== undefined
  }

  /** Whether a payload of this size is sent without a copy. */
  isUncopied(size: number): boolean {
    return this.maskKeys === undefined && size > copyLimit
  }

  /** Lends an empty outbox. */
  lend(): Outbox {
    return this.blank.pop() ?? new Outbox(this.primitives, this.maskKeys)
  }

  /** Takes an outbox back, which must be empty. */
  giveBack(outbox: Outbox): void {
    if (this.blank.length < maxBlank) this.blank.push(outbox)
  }
}

// One for all connections of a kind: a pool of mask keys takes 8 KiB, more than an idle connection.
const known = { client: new WeakMap<Primitives, Outboxes>(), server: new WeakMap<Primitives, Outboxes>() }

/** The outboxes that all connections with these primitives share. */
export const outboxesOf = (primitives: Primitives, role: "client" | "server"): Outboxes => {
  const found = known[role].get(primitives)
  if (found !== undefined) return found
  const made = new Outboxes(primitives, role === "client" ? new MaskKeys(primitives.randomFill) : undefined)
  known[role].set(primitives, made)
  return made
}
