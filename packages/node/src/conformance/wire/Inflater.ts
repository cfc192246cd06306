/**
 * The suite's own inflater (RFC 1951), strict where zlib is not: zlib lets a distance reach beyond the declared window
 * while the octet is still in its output, and takes a stream that ends inside a block. It shares nothing with zlib
 * nor with the library, so that neither is tested with itself.
 */

/** What one direction of a connection agreed on (RFC 7692 §7.1). */
export interface Half {
  readonly windowBits: number
  readonly noContextTakeover: boolean
}

const lengthBase = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163,
  195, 227, 258]
const lengthExtra = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
const distanceBase = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
  3073, 4097, 6145, 8193, 12289, 16385, 24577]
const distanceExtra = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13]
const lengthsOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

/** A Huffman code as one lookup by the next `bits` bits: symbol << 4 | length; 0 where no code is. */
interface Code {
  readonly bits: number
  readonly table: Uint16Array
}

/** RFC 1951 §3.2.2. */
const makeCode = (lengths: Uint8Array, into = new Uint16Array(1 << 15)): Code => {
  const counts = new Uint16Array(16)
  for (const length of lengths) counts[length]!++
  counts[0] = 0
  let bits = 1
  const next = new Uint16Array(17)
  let code = 0
  for (let length = 1; length <= 15; length++) {
    if (counts[length]! > 0) bits = length
    code = (code + counts[length - 1]!) << 1
    next[length] = code
    if (code + counts[length]! > 1 << length) throw new Error("more codes than fit")
  }
  const table = into.subarray(0, 1 << bits).fill(0)
  lengths.forEach((length, symbol) => {
    if (length === 0) return
    const code = next[length]!++
    // Codes come with their first bit lowest.
    let reversed = 0
    for (let bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit)
    for (let index = reversed; index < table.length; index += 1 << length) table[index] = (symbol << 4) | length
  })
  return { bits, table }
}

const fixedLiterals = makeCode(new Uint8Array(288).fill(8).fill(9, 144, 256).fill(7, 256, 280))
const fixedDistances = makeCode(new Uint8Array(30).fill(5))
/** The codes of the block being read: no two are read at the same time. */
const literalTable = new Uint16Array(1 << 15)
const distanceTable = new Uint16Array(1 << 15)

/** What the sender removed (RFC 7692 §7.2.1). */
const tail = [0x00, 0x00, 0xff, 0xff]
/** So that looking a few bits ahead needs no check. */
const padding = 8

export class Inflater {
  private readonly half: Half
  private data: Uint8Array = new Uint8Array(0)
  private end = 0
  private position = 0
  private bits = 0
  private count = 0
  /** What may be referred to, and the message behind it up to `at`. */
  private out: Buffer = Buffer.alloc(0)
  private at = 0

  constructor(half: Half) {
    this.half = half
  }

  /** One message; throws what is wrong with it. */
  message(payload: Uint8Array): Buffer {
    this.end = payload.length + tail.length
    this.data = new Uint8Array(this.end + padding)
    this.data.set(payload)
    this.data.set(tail, payload.length)
    this.position = 0
    this.bits = 0
    this.count = 0
    const before = this.keepWindow()
    while (this.position < this.end || this.count >= 8) {
      if (this.block()) this.align()
    }
    if (this.count !== 0) throw new Error("it does not end with an empty stored block")
    return Buffer.from(this.out.subarray(before, this.at))
  }

  /** Leaves of the earlier messages what this one may refer to; gives its length. */
  private keepWindow(): number {
    const kept = this.half.noContextTakeover ? 0 : Math.min(this.at, 1 << this.half.windowBits)
    this.out.copyWithin(0, this.at - kept, this.at)
    this.at = kept
    return kept
  }

  /** Reads one block; says whether it called itself the last. */
  private block(): boolean {
    const final = this.take(1) === 1
    const type = this.take(2)
    if (type === 0) this.stored()
    else if (type === 1) this.coded(fixedLiterals, fixedDistances)
    else if (type === 2) this.dynamic()
    else throw new Error("a block of the reserved type")
    return final
  }

  private take(bits: number): number {
    while (this.count < bits) {
      if (this.position >= this.end) throw new Error("it ends inside a block")
      this.bits |= this.data[this.position++]! << this.count
      this.count += 8
    }
    const value = this.bits & ((1 << bits) - 1)
    this.bits >>>= bits
    this.count -= bits
    return value
  }

  private symbol({ bits, table }: Code): number {
    while (this.count < bits) {
      // Past the end the code may still be complete with the bits that are there.
      this.bits |= this.data[this.position++]! << this.count
      this.count += 8
    }
    const entry = table[this.bits & (table.length - 1)]!
    const length = entry & 15
    if (length === 0) throw new Error("a code that is not in use")
    this.bits >>>= length
    this.count -= length
    while (this.position > this.end && this.count >= 8) {
      this.position--
      this.count -= 8
      this.bits &= (1 << this.count) - 1
    }
    if (this.position > this.end) throw new Error("it ends inside a block")
    return entry >> 4
  }

  private align(): void {
    const whole = this.count >> 3
    this.position -= whole
    this.bits = 0
    this.count = 0
  }

  private room(length: number): void {
    if (this.at + length <= this.out.length) return
    const wider = Buffer.allocUnsafe(2 * (this.at + length))
    wider.set(this.out.subarray(0, this.at))
    this.out = wider
  }

  private stored(): void {
    this.align()
    const length = this.take(16)
    if ((length ^ this.take(16)) !== 0xffff) throw new Error("a stored block with a wrong length")
    if (this.position + length > this.end) throw new Error("it ends inside a block")
    this.room(length)
    this.out.set(this.data.subarray(this.position, this.position + length), this.at)
    this.position += length
    this.at += length
  }

  private dynamic(): void {
    const literals = this.take(5) + 257
    const distances = this.take(5) + 1
    const given = this.take(4) + 4
    const first = new Uint8Array(19)
    for (let index = 0; index < given; index++) first[lengthsOrder[index]!] = this.take(3)
    const code = makeCode(first, literalTable)
    const lengths = new Uint8Array(literals + distances)
    let index = 0
    while (index < lengths.length) {
      const symbol = this.symbol(code)
      if (symbol < 16) {
        lengths[index++] = symbol
        continue
      }
      if (symbol === 16 && index === 0) throw new Error("a repeated length without a first one")
      const value = symbol === 16 ? lengths[index - 1]! : 0
      const times = symbol === 16 ? 3 + this.take(2) : symbol === 17 ? 3 + this.take(3) : 11 + this.take(7)
      if (index + times > lengths.length) throw new Error("too many lengths")
      lengths.fill(value, index, index + times)
      index += times
    }
    this.coded(
      makeCode(lengths.subarray(0, literals), literalTable),
      makeCode(lengths.subarray(literals), distanceTable)
    )
  }

  private coded(literals: Code, distances: Code): void {
    const window = 1 << this.half.windowBits
    while (true) {
      const symbol = this.symbol(literals)
      if (symbol === 256) return
      this.room(258)
      if (symbol < 256) {
        this.out[this.at++] = symbol
        continue
      }
      if (symbol > 285) throw new Error("a length code that is not in use")
      const length = lengthBase[symbol - 257]! + this.take(lengthExtra[symbol - 257]!)
      const code = this.symbol(distances)
      const distance = distanceBase[code]! + this.take(distanceExtra[code]!)
      if (distance > window) throw new Error(`a distance of ${distance} in a window of ${window}`)
      if (distance > this.at) throw new Error(`a distance of ${distance} with ${this.at} octets known`)
      this.copy(distance, length)
    }
  }

  private copy(distance: number, length: number): void {
    const { at, out } = this
    if (distance >= length) out.copyWithin(at, at - distance, at - distance + length)
    else for (let index = at; index < at + length; index++) out[index] = out[index - distance]!
    this.at = at + length
  }
}
