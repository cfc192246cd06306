/**
 * Observes one direction of a connection after its handshake: every frame, and the rule that it breaks, if any. The
 * library's decoder, in a lenient mode, finds the frames. The library's state machine, in the role of the receiver, gets
 * the same bytes frame by frame and finds the broken rules; it is called the judge below.
 */
import { type Frame, FrameDecoder, type Limits, type MessageExtension, Opcode, Protocol, type WebSocketError } from "@effect-ws/core"
import * as NodePrimitives from "../../NodePrimitives.ts"
import type { Broken, Completed, Side, What } from "./Observation.ts"

export interface Seen {
  readonly what: What
  readonly broken: ReadonlyArray<Broken>
}

/** Larger frames and messages are not decoded: 64 MiB. */
const largest = 64 * 1024 * 1024

const limits: Limits.Options = {
  maxMessageSize: largest,
  fragments: { max: Number.MAX_SAFE_INTEGER, charge: 0 },
  inboundHighWaterMark: 4 * largest
}

/** The size of a frame on the wire. Its length is in the shortest form; other forms are refused earlier. */
const wireLength = ({ data, masked }: Frame.Frame): number =>
  2 + (data.length < 126 ? 0 : data.length < 65_536 ? 2 : 8) + (masked ? 4 : 0) + data.length

/** A large frame breaks no rule; only the inspection ends. */
const brokenBy = ({ detail, rule, section }: WebSocketError.ProtocolError): Broken =>
  rule === "MessageTooBig"
    ? { rule: "NotInspected", detail: "larger than 64 MiB: messages are not decoded from here on", section: "" }
    : { rule, detail, section }

const afterClose: Broken = {
  rule: "FrameAfterClose",
  detail: "a frame after the Close frame",
  section: "RFC 6455 §5.5.1"
}

export class FrameWatch {
  private readonly decoder = FrameDecoder.make({ mask: "any", allowedRsv: 7, maxPayloadLength: largest })
  private readonly judge: Protocol.Protocol
  /** Bytes that the decoder has read and the judge has not. */
  private pending: Array<Uint8Array> = []
  private isUnreadable = false
  private isJudged = false
  private hasClosed = false
  private wireBytes = 0
  private isCompressed = false

  constructor(from: Side, transform: MessageExtension.Transform | undefined) {
    this.judge = Protocol.make({
      role: from === "client" ? "server" : "client",
      limits,
      primitives: NodePrimitives.primitives,
      transform
    })
    // Otherwise it would wait for a decision about a message that is too large.
    this.judge.demand("message")
  }

  push(chunk: Uint8Array): ReadonlyArray<Seen> {
    if (this.isUnreadable) return [{ what: { _tag: "Bytes", bytes: chunk }, broken: [] }]
    this.pending.push(chunk)
    const { error, frames } = this.decoder.push(chunk)
    const seen: Array<Seen> = frames.map((frame) => this.frame(frame))
    if (error !== undefined) {
      this.isUnreadable = true
      const broken = this.isJudged ? [] : [brokenBy(error)]
      this.isJudged = true
      seen.push({ what: { _tag: "Bytes", bytes: this.take(this.pending.reduce((sum, { length }) => sum + length, 0)) }, broken })
    }
    return seen
  }

  /** TCP ended, perhaps inside a frame. */
  end(): ReadonlyArray<Seen> {
    const left = this.pending.reduce((sum, { length }) => sum + length, 0)
    if (this.isUnreadable || left === 0) return []
    const broken = { rule: "FrameIncomplete", detail: "TCP ended inside a frame", section: "RFC 6455 §7.1.7" }
    return [{ what: { _tag: "Bytes", bytes: this.take(left) }, broken: [broken] }]
  }

  private frame(frame: Frame.Frame): Seen {
    const bytes = this.take(wireLength(frame))
    const isData = frame.opcode < 8
    if (isData) {
      if (frame.opcode !== Opcode.Continuation) {
        this.wireBytes = 0
        this.isCompressed = frame.rsv1
      }
      this.wireBytes += frame.data.length
    }
    const broken = this.judgement(bytes)
    const [message] = this.judge.takeMessages()
    const completed: Completed | undefined = message === undefined ? undefined : {
      message,
      wireBytes: this.wireBytes,
      bytes: typeof message === "string" ? Buffer.byteLength(message) : message.length,
      isCompressed: this.isCompressed
    }
    if (frame.opcode === Opcode.Close) this.hasClosed = true
    return { what: { _tag: "Frame", frame, completed }, broken }
  }

  /** What the receiver finds in these bytes; after the first violation it reads no more. */
  private judgement(bytes: Uint8Array): ReadonlyArray<Broken> {
    if (this.hasClosed) return [afterClose]
    if (this.isJudged) return []
    let at = this.judge.receive(bytes)
    // An extension may ask for a turn of the event loop; that is not necessary here.
    while (this.judge.stopped === "turn") at = this.judge.receive(bytes, at)
    // Its answers are not sent.
    this.judge.takeOutput()
    this.judge.outputTaken()
    const { ending } = this.judge
    if (ending?._tag !== "Violation") return []
    this.isJudged = true
    return [brokenBy(ending.error)]
  }

  /** Takes the next bytes from those that are kept. */
  private take(length: number): Uint8Array {
    const first = this.pending[0]
    if (first !== undefined && first.length >= length) {
      this.pending[0] = first.subarray(length)
      if (this.pending[0].length === 0) this.pending.shift()
      return first.subarray(0, length)
    }
    const all = Buffer.concat(this.pending)
    this.pending = all.length === length ? [] : [all.subarray(length)]
    return all.subarray(0, length)
  }
}
