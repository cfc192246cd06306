/**
 * The bytes of the texts that were decoded last, for as long as their chunk is read: what is
 * sent on meanwhile as it came (an echo, a relay, a room's message to each of its members) is
 * copied, not encoded again. Found by content, so it is the same to have been found or not.
 * Measured with 1 KiB of characters of 1 to 4 bytes: to encode it takes 1.3 to 2.5 µs, to
 * find and copy it 0.1; with 16 KiB 20 and 0.5.
 *
 * One for all connections, since one chunk is read at a time. The driver says which chunk, and
 * when it may change; until then a text that came in several is remembered as well, whose
 * memory is then used again.
 */
import { copyInto } from "../codec/Simd.ts"
import * as SpareBuffers from "./SpareBuffers.ts"

// Where encoding costs less than a copy and the account of it: characters above ASCII cost
// ten times as much as others.
const leastBytes = 128
const leastAscii = 512

// More texts of one chunk than this are encoded again.
const capacity = 256

// Texts are sent in the order in which they came. Each that was not sent takes one of these,
// and what is sent besides must not be compared with all.
const probes = 4

const nothing = new Uint8Array(0)

let chunk: Uint8Array | undefined
const texts: Array<string> = []
// The chunk, or memory of the text's own.
const sources: Array<Uint8Array> = []
const starts = new Int32Array(capacity)
const ends = new Int32Array(capacity)
let count = 0
// The text that was found last, or the first: a text may be sent many times.
let at = 0

/** Texts are decoded from `bytes` now, which stay as they are until {@link forget}, but for what is unmasked. */
export const begin = (bytes: Uint8Array): void => {
  forget()
  chunk = bytes
}

/** The bytes may change. */
export const forget = (): void => {
  for (let i = 0; i < count; i++) {
    texts[i] = ""
    if (sources[i] !== chunk) SpareBuffers.giveBack(sources[i]!)
    sources[i] = nothing
  }
  chunk = undefined
  count = at = 0
}

/** `text` is what `bytes[start, end)` holds, which is valid UTF-8. */
export const remember = (text: string, bytes: Uint8Array, start: number, end: number): void => {
  if (bytes === chunk) add(text, bytes, start, end)
}

/** `text` was put together in `memory`, of which `size` bytes are valid UTF-8, and which nobody else needs. */
export const keep = (text: string, memory: Uint8Array, size: number): void => {
  if (chunk === undefined || !add(text, memory, 0, size)) SpareBuffers.giveBack(memory)
}

const add = (text: string, source: Uint8Array, start: number, end: number): boolean => {
  const size = end - start
  if (size < leastBytes || count === capacity || (size === text.length && size < leastAscii)) return false
  texts[count] = text
  sources[count] = source
  starts[count] = start
  ends[count] = end
  count++
  return true
}

/** How many bytes a text is, if they are remembered; -1 if not. */
export const find = (text: string): number => {
  const last = Math.min(at + probes, count)
  for (let i = at; i < last; i++) {
    if (texts[i] === text) {
      at = i
      return ends[i]! - starts[i]!
    }
  }
  return -1
}

/** Copies the bytes of the text that was found last to `target`. */
export const copyFound = (target: Uint8Array, offset: number): void => {
  copyInto(sources[at]!, starts[at]!, ends[at]!, target, offset)
}
