/**
 * Decodes frames from bytes that arrive in pieces of any size. It never throws, and its
 * work is linear in the bytes.
 *
 * A chunk is only read, never kept or written to. The payload of a frame is allocated once,
 * after its limit was checked, and belongs to the caller.
 *
 * @since 0.1.0
 */
import { type Frame, frameOf } from "./Frame.ts"
import { protocolError } from "./protocol/Violation.ts"
import type { ProtocolError } from "./WebSocketError.ts"
import { FrameHeader } from "./codec/FrameHeader.ts"
import { maskInto } from "./codec/Mask.ts"

/**
 * Options of a decoder.
 *
 * **Details**
 *
 * - `mask`: whether frames must be masked (a server: `"required"`), must not be (a
 *   client: `"forbidden"`), or either (`"any"`, the default).
 * - `maxPayloadLength`: the most bytes of one frame's payload. A longer one is refused with
 *   1009 before anything is allocated. Default 1 MiB.
 * - `allowedRsv`: the reserved bits that extensions use: RSV1 is 4, RSV2 is 2, RSV3 is 1.
 *   Default 0.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly mask?: "required" | "forbidden" | "any" | undefined
  readonly maxPayloadLength?: number | undefined
  readonly allowedRsv?: number | undefined
}

/**
 * What a chunk completed.
 *
 * **Details**
 *
 * `frames` are those that the chunk completed, in order. `error` is the rule that the bytes
 * after them broke: frames before a violation are never lost. Once there is an error every
 * later `push` returns it, and no frame follows.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoded {
  readonly frames: ReadonlyArray<Frame>
  readonly error: ProtocolError | undefined
}

/**
 * An incremental decoder of one direction of a connection.
 *
 * **Details**
 *
 * - `push` takes the next bytes.
 * - `isEmpty` is `true` between frames. If the input ends while it is `false`, it ended inside
 *   a frame, or after a violation.
 *
 * @category models
 * @since 0.1.0
 */
export interface FrameDecoder {
  readonly push: (chunk: Uint8Array) => Decoded
  readonly isEmpty: () => boolean
}

const defaultMaxPayloadLength = 1024 * 1024

/**
 * Makes a decoder.
 *
 * **Example** (Bytes that arrive one by one)
 *
 * ```ts
 * import { FrameDecoder } from "@effect-ws/core"
 *
 * const decoder = FrameDecoder.make()
 * for (const byte of [0x81, 0x02, 0x68, 0x69]) {
 *   const { frames } = decoder.push(Uint8Array.of(byte))
 *   for (const frame of frames) console.log(new TextDecoder().decode(frame.data)) // hi
 * }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): FrameDecoder => {
  const header = new FrameHeader(options?.mask ?? "any")
  header.allowedRsv = options?.allowedRsv ?? 0
  const limit = options?.maxPayloadLength ?? defaultMaxPayloadLength
  // The payload that is being received, and how much of it has arrived.
  let data: Uint8Array | undefined
  let filled = 0
  let error: ProtocolError | undefined

  const push = (chunk: Uint8Array): Decoded => {
    const frames: Array<Frame> = []
    const end = chunk.length
    let at = 0
    while (error === undefined) {
      if (data === undefined) {
        if (at >= end) break
        at = header.parse(chunk, at, end)
        if (header.violation !== undefined) {
          error = protocolError(header.violation)
          break
        }
        if (!header.complete) break
        if (!(header.length <= limit)) {
          error = protocolError("MessageTooBig", `a frame of ${header.length} bytes exceeds the limit of ${limit}`)
          break
        }
        data = new Uint8Array(header.length)
        filled = 0
      }
      const taken = Math.min(end - at, data.length - filled)
      if (taken > 0) {
        if (header.masked) maskInto(chunk, at, at + taken, data, filled, header.maskKey, filled & 3)
        else data.set(taken === end ? chunk : chunk.subarray(at, at + taken), filled)
        at += taken
        filled += taken
      }
      if (filled < data.length) break
      frames.push(frameOf(header, data))
      data = undefined
      header.reset()
    }
    return { frames, error }
  }

  return {
    push,
    isEmpty: () => error === undefined && data === undefined && !header.isPartial()
  }
}
