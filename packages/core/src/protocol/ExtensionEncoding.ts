/** Runs an extension's encoder on what is sent: counted, and bounded by the turn of the event loop. */
import type { Message } from "../Message.ts"
import type { Encoder } from "../MessageExtension.ts"

export class ExtensionEncoding {
  /** All bytes that were ever pushed into the encoder, and that came out of it. */
  inputBytes = 0
  outputBytes = 0
  /** The message that is being sent in fragments is encoded. */
  isFragmented = false

  private readonly encoder: Encoder
  // Bytes that were pushed since the turn began.
  private turnBytes = 0

  constructor(encoder: Encoder) {
    this.encoder = encoder
  }

  get sliceSize(): number {
    return this.encoder.sliceSize
  }

  get shareKey(): string | undefined {
    return this.encoder.shareKey
  }

  /** Whether a slice was encoded since {@link beginTurn}. */
  get isTurnOver(): boolean {
    return this.turnBytes >= this.encoder.sliceSize
  }

  /** Another turn of the event loop has begun. */
  beginTurn(): void {
    this.turnBytes = 0
  }

  /** A message begins. Returns the reserved bits of its first frame; 0: it is sent as it is. */
  begin(message: Message | undefined): number {
    return this.encoder.begin(message)
  }

  push(bytes: Uint8Array, last: boolean): Uint8Array {
    this.turnBytes += bytes.length
    const encoded = this.encoder.push(bytes, last)
    this.inputBytes += bytes.length
    this.outputBytes += encoded.length
    return encoded
  }
}
