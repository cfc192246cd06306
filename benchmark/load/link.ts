/** One connection of the load generator: sends frames built before, counts the messages that come back. */
import type { Duplex } from "node:stream"
import { constants, inflateRawSync } from "node:zlib"
import { flushTail, type Frames, frame, opcodes, unmask } from "./frames.ts"

/** Messages per connection whose compressed echo is compared: one inflater has to see all from the first on. */
const comparedDeflated = 64

export interface LinkOptions {
  readonly masked: boolean
  readonly deflated: boolean
  readonly frames: Frames
  /** In which order the answers come: that of the questions, or any, as where others' messages come too. */
  readonly order: "same" | "any"
  /** Whether the peer says something of its own before it is asked; it is passed over until `onPayload` is changed. */
  readonly greeted?: boolean
}

export class Link {
  /** How many messages one read completed. */
  onMessages: (count: number, link: Link) => void = () => {}
  onFailure: (error: Error) => void = () => {}
  /** Why it failed, also where nobody waited for anything at the time. */
  failure: Error | undefined
  /** The connection that was to be closed is. */
  onClosed: () => void = () => {}
  /** Gets each message where it is set. */
  onPayload: ((payload: Buffer, link: Link) => void) | undefined
  /** What the peer sends back is compared with what it was sent, byte for byte; nothing where it was sent nothing. */
  comparing: boolean
  inFlight = 0
  /** Closing is wanted. */
  closed = false

  readonly #socket: Duplex
  readonly #options: LinkOptions
  #next = 0

  // The frame being read: its header as far as it came, then how much of its payload is missing.
  readonly #header = new Uint8Array(14)
  #headerLength = 0
  #headerNeeded = 2
  #missing = 0
  #kept: Array<Buffer> = []

  // The message being compared.
  #expected = 0
  #position = 0
  #pieces: Array<Buffer> = []
  readonly #known: ReadonlySet<string>
  readonly #inflated: Array<Buffer> = []
  #inflatedMessages = 0

  constructor(socket: Duplex, options: LinkOptions) {
    this.#socket = socket
    this.#options = options
    this.comparing = options.frames.count > 0
    if (options.greeted === true) this.onPayload = () => {}
    this.#known = new Set(options.order === "any" ? options.frames.expected.map((one) => one.toString("latin1")) : [])
    socket.on("error", (error) => this.#fail(`a connection broke: ${error.message}`))
    socket.on("close", () => {
      if (this.closed) this.onClosed()
      else this.#fail("the peer ended a connection")
    })
  }

  /** Sends the next messages of its frames, as one piece. */
  send(count: number): void {
    const { bytes, count: most, offsets } = this.#options.frames
    this.inFlight += count
    for (let left = count; left > 0;) {
      const step = Math.min(left, most)
      this.#socket.write(bytes.subarray(offsets[this.#next], offsets[this.#next + step]))
      this.#next = (this.#next + step) % most
      left -= step
    }
  }

  /** Sends a text that was not built before. */
  sendText(text: string): void {
    this.#socket.write(frame(opcodes.text, Buffer.from(text), { masked: this.#options.masked }))
  }

  /** Stops reading, as a peer does whose network is slow. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  sendClose(): void {
    this.closed = true
    this.#sendControl(opcodes.close, Uint8Array.of(3, 232))
  }

  destroy(): void {
    this.closed = true
    this.#socket.destroy()
  }

  /** What is compared after the fact: the compressed messages, as one stream. Ends the comparison. */
  compareRest(): void {
    this.comparing = false
    if (this.#inflated.length === 0) return
    const { count, expected } = this.#options.frames
    const found = inflateRawSync(Buffer.concat(this.#inflated), { finishFlush: constants.Z_SYNC_FLUSH })
    const all = Array.from({ length: this.#inflatedMessages }, (_, i) => expected[i % count]!)
    if (!found.equals(Buffer.concat(all))) this.#fail("a compressed message came back as another one")
    this.#inflated.length = 0
  }

  /** Takes what was read. The bytes are the caller's again when it returns. */
  receive(chunk: Buffer): void {
    let messages = 0
    let at = 0
    while (at < chunk.length) {
      if (this.#headerLength < this.#headerNeeded) {
        this.#header[this.#headerLength++] = chunk[at++]!
        if (this.#headerLength === 2) this.#headerNeeded = headerLength(this.#header[1]!)
        if (this.#headerLength === this.#headerNeeded) this.#missing = payloadLength(this.#header)
      } else {
        const taken = Math.min(this.#missing, chunk.length - at)
        if (this.#isLookedAt) this.#kept.push(Buffer.from(chunk.subarray(at, at + taken)))
        this.#missing -= taken
        at += taken
      }
      if (this.#headerLength === this.#headerNeeded && this.#missing === 0) messages += this.#endFrame()
    }
    if (messages > 0) {
      this.inFlight -= messages
      this.onMessages(messages, this)
    }
  }

  get #isControl(): boolean {
    return (this.#header[0]! & 8) !== 0
  }

  get #isLookedAt(): boolean {
    return this.comparing || this.onPayload !== undefined || this.#isControl
  }

  /** 1 if the frame ends a message. */
  #endFrame(): number {
    const first = this.#header[0]!
    const control = this.#isControl
    if (this.#isLookedAt) {
      const payload = this.#kept.length === 1 ? this.#kept[0]! : Buffer.concat(this.#kept)
      if ((this.#header[1]! & 0x80) !== 0) {
        unmask(payload, this.#header.subarray(this.#headerNeeded - 4, this.#headerNeeded))
      }
      this.#kept = []
      const opcode = first & 15
      if (control) this.#answer(opcode, payload)
      else if (this.onPayload !== undefined) this.onPayload(payload, this)
      else if (opcode === 0 || opcode === this.#options.frames.opcode) this.#compare(payload, first)
      else this.#fail("a message came back with another type")
    }
    this.#headerLength = 0
    this.#headerNeeded = 2
    return (first & 0x80) !== 0 && !control ? 1 : 0
  }

  /** Never compressed (RFC 7692 §6). */
  #sendControl(opcode: number, payload: Uint8Array): void {
    this.#socket.write(frame(opcode, payload, { masked: this.#options.masked }))
  }

  #answer(opcode: number, payload: Buffer): void {
    if (opcode === opcodes.ping) this.#sendControl(opcodes.pong, payload)
    if (opcode !== opcodes.close) return
    if (!this.closed) this.#fail(`the peer closed a connection: ${payload.toString("latin1").slice(2)}`)
    this.#socket.end()
  }

  #compare(payload: Buffer, first: number): void {
    const final = (first & 0x80) !== 0
    if (this.#options.deflated) {
      if (this.#inflatedMessages >= comparedDeflated) return
      this.#inflated.push(payload)
      if (!final) return
      this.#inflated.push(flushTail)
      this.#inflatedMessages += 1
      return
    }
    if (this.#options.order === "any") {
      this.#pieces.push(payload)
      if (!final) return
      const whole = Buffer.concat(this.#pieces).toString("latin1")
      this.#pieces = []
      if (!this.#known.has(whole)) this.#fail(`a message came that nobody should have sent: ${whole.slice(0, 200)}`)
      return
    }
    const { count, expected: all } = this.#options.frames
    const expected = all[this.#expected]!
    const end = this.#position + payload.length
    if (!payload.equals(expected.subarray(this.#position, end)) || (final && end !== expected.length)) {
      this.#fail("a message came back as another one")
    }
    this.#position = final ? 0 : end
    if (final) this.#expected = (this.#expected + 1) % count
  }

  #fail(message: string): void {
    if (this.#socket.destroyed && this.closed) return
    this.closed = true
    this.#socket.destroy()
    this.failure = new Error(message)
    this.onFailure(this.failure)
  }
}

const headerLength = (second: number): number => {
  const length = second & 127
  return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & 128) === 0 ? 0 : 4)
}

const payloadLength = (header: Uint8Array): number => {
  const length = header[1]! & 127
  if (length < 126) return length
  const end = length === 126 ? 4 : 10
  let long = 0
  for (let i = 2; i < end; i++) long = long * 256 + header[i]!
  return long
}
