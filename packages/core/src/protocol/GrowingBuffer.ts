/**
 * Bytes that arrive in parts, in one buffer. It grows by doubling, so that the work stays linear
 * however small the parts are; where the size of all is known, it gets exactly that.
 */
import { giveBack, type Memory, ownOf, shortened } from "../memory/LentMemory.ts"

const empty = new Uint8Array(0)

export class GrowingBuffer {
  buffer: Uint8Array = empty
  length = 0

  private memory: Memory

  constructor(memory: Memory) {
    this.memory = memory
  }

  /** Makes room for `size` more bytes. `last`: nothing follows, so the buffer gets exactly that. */
  reserve(size: number, last: boolean): void {
    const needed = this.length + size
    if (needed <= this.buffer.length) return
    const room = last ? needed : Math.max(needed, this.buffer.length * 2, 256)
    const grown = this.memory.allocate(room)
    if (this.length > 0) grown.set(this.buffer.subarray(0, this.length))
    giveBack(this.buffer)
    this.buffer = grown
  }

  /** Adds bytes that belong to the assembly from now on. The first ones become the buffer. */
  append(bytes: Uint8Array): void {
    if (this.length === 0 && bytes.length > 0) {
      this.buffer = bytes
    } else {
      this.reserve(bytes.length, false)
      this.buffer.set(bytes, this.length)
    }
    this.length += bytes.length
  }

  /** Returns the bytes, which belong to the caller. The assembly is not used afterwards. */
  get bytes(): Uint8Array {
    const { buffer, length } = this
    if (length === buffer.length) return buffer
    const lent = shortened(buffer, length)
    if (lent !== undefined) return lent
    // A view would keep up to twice the memory alive for as long as the message is.
    const exact = this.memory.allocate(length)
    exact.set(buffer.subarray(0, length))
    return exact
  }

  /** From now on the bytes lie in other memory. */
  moveTo(memory: Memory): void {
    this.memory = memory
    // No loan of an assembly ends before it does.
    this.buffer = ownOf(this.buffer, memory, this.length)!
  }
}
