/**
 * A message that is received piece by piece: the pieces that have arrived and were not taken
 * yet. Pieces follow the network's chunks, not the peer's frames, so memory stays bounded even
 * if one frame holds a gigabyte. The pieces of a text end at code point boundaries.
 */
import type { Message } from "../Message.ts"

// A piece costs an object besides its bytes, so a flood of tiny ones reaches the mark early.
const pieceCharge = 64

export class Fragments {
  readonly type: "text" | "binary"
  /** How much of the inbound mark the waiting pieces take up. */
  queuedBytes = 0
  /** The message is complete: no piece follows. */
  done = false
  /** The reader does not want the rest: it is checked and dropped. */
  discarded = false

  private pieces: Array<Message> = []

  constructor(type: "text" | "binary") {
    this.type = type
  }

  get hasPieces(): boolean {
    return this.pieces.length > 0
  }

  /** Adds a piece of `size` bytes, which belongs to the reader from now on. */
  push(piece: Message, size: number): void {
    if (this.discarded || piece.length === 0) return
    this.pieces.push(piece)
    this.queuedBytes += size + pieceCharge
  }

  take(): Array<Message> {
    const pieces = this.pieces
    this.pieces = []
    this.queuedBytes = 0
    return pieces
  }

  discard(): void {
    this.discarded = true
    this.take()
  }
}
