/** Tries a codec on known streams before it is used: runtimes that imitate Node's zlib do so to different degrees. */
import type { MessageExtension, PerMessageDeflate } from "@effect-ws/core"
import { Buffer } from "node:buffer"

type Way = Pick<PerMessageDeflate.Codec["Service"], "compressor" | "decompressor">

const settings = { windowBits: 15, level: 1, memLevel: 8 } as const

// RFC 7692 §7.2.3.1 and §7.2.3.2: "Hello" in a fixed block, and once more by the window.
const hello = Uint8Array.of(0x48, 0x65, 0x6c, 0x6c, 0x6f)
const deflated = [Uint8Array.of(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00), Uint8Array.of(0xf2, 0x00, 0x11, 0x00, 0x00)]

// A block of type 3, which does not exist (RFC 1951 §3.2.3).
const invalid = Uint8Array.of(0x06)

const isHello = (bytes: Uint8Array | MessageExtension.DecodeFailure | undefined): boolean =>
  bytes instanceof Uint8Array && Buffer.compare(bytes, hello) === 0

/** Whether these messages of one sender each say hello, and an invalid one behind them fails. */
const inflates = ({ decompressor }: Way, messages: ReadonlyArray<Uint8Array>): boolean => {
  const one = decompressor(settings)
  const right = messages.every((bytes) => {
    one.push(bytes, true)
    return isHello(one.next()) && one.next() === undefined
  })
  one.push(invalid, true)
  const failed = one.next()
  one.close()
  return right && failed !== undefined && !(failed instanceof Uint8Array)
}

// There is more than one way to write the same: zlib-ng, which Bun and Deno have, chooses others than zlib.
const deflates = (way: Way): boolean => {
  const one = way.compressor(settings)
  const first = Uint8Array.from(one.push(hello, true))
  const second = Uint8Array.from(one.push(hello, true))
  one.reset()
  const third = Uint8Array.from(one.push(hello, true))
  one.close()
  return second.length < first.length && inflates(way, [first, second]) && inflates(way, [third])
}

/** Whether a way to compress and decompress is right, keeps its window and forgets it. */
export const works = (way: Way): boolean => {
  try {
    return inflates(way, deflated) && deflates(way)
  } catch {
    return false
  }
}
