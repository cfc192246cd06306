/** permessage-deflate over a codec that compresses nothing and remembers what became of its contexts. */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import * as CompressionBudget from "../../src/CompressionBudget.ts"
import * as Extension from "../../src/Extension.ts"
import type { MessageExtension, Transform } from "../../src/MessageExtension.ts"
import * as PerMessageDeflate from "../../src/PerMessageDeflate.ts"

export const fakeCodec = () => {
  const log: Array<string> = []
  const live = { compressors: 0, decompressors: 0 }
  const codec: PerMessageDeflate.Codec["Service"] = {
    available: true,
    compressor: ({ level, memLevel, windowBits }) => {
      live.compressors++
      log.push(`compressor ${windowBits} ${level} ${memLevel}`)
      let open = true
      return {
        push: (bytes) => {
          assert.isTrue(open)
          return bytes.slice()
        },
        reset: () => void log.push("reset"),
        close: () => {
          assert.isTrue(open)
          open = false
          live.compressors--
        }
      }
    },
    compressorBytes: () => 100,
    decompressor: ({ windowBits }) => {
      live.decompressors++
      log.push(`decompressor ${windowBits}`)
      let pushed: Uint8Array | undefined
      let open = true
      return {
        push: (bytes) => {
          assert.isTrue(open)
          pushed = bytes
        },
        next: () => {
          const out = pushed?.slice()
          pushed = undefined
          return out
        },
        reset: () => void log.push("reset inflate"),
        close: () => {
          assert.isTrue(open)
          open = false
          live.decompressors--
        }
      }
    },
    decompressorBytes: () => 10,
    sliceSize: (level) => level * 1000
  }
  return { codec, log, live }
}

export const setup = (options: PerMessageDeflate.Options = {}, limits?: CompressionBudget.Options) => {
  const fake = fakeCodec()
  const budget = CompressionBudget.make(limits)
  return { ...fake, budget, extension: PerMessageDeflate.make(fake.codec, budget, { threshold: 0, ...options }) }
}

export const offer = (text = ""): Extension.ExtensionHeader =>
  Result.getOrThrow(Extension.parse([`permessage-deflate${text}`]))[0]!

export const write = (params: ReadonlyArray<Extension.ExtensionParam>): string =>
  Result.getOrThrow(Extension.format([{ name: "d", params }]))

export const open = (extension: MessageExtension, text?: string): Transform => extension.answer(offer(text))!.open()

export const message = Uint8Array.of(1, 2, 3)

export const send = (transform: Transform, ...parts: ReadonlyArray<Uint8Array>) => {
  assert.strictEqual(transform.encoder.begin(undefined), 4)
  return parts.map((part, i) => transform.encoder.push(part, i === parts.length - 1))
}

export const receive = (transform: Transform, bytes: Uint8Array) => {
  transform.decoder.begin(4)
  transform.decoder.push(bytes, true)
  while (transform.decoder.next() !== undefined);
}
