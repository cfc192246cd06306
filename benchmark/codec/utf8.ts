/** UTF-8 validation and text against TextDecoder and TextEncoder. */
import { isUtf8 } from "../../packages/core/src/codec/Utf8.ts"
import { portable } from "../../packages/core/src/Primitives.ts"
import { table } from "./run.ts"

const texts = {
  "ASCII": "The quick brown fox jumps over the lazy dog. ",
  "Cyrillic": "Съешь ещё этих мягких французских булок. ",
  "CJK": "いろはにほへとちりぬるを我が世誰ぞ常ならむ"
}

// Whole characters only, `bytes` long or a few bytes short of it.
const sample = (text: string, bytes: number): { readonly text: string; readonly data: Uint8Array } => {
  const long = text.repeat(Math.ceil(bytes / text.length))
  const { read, written } = new TextEncoder().encodeInto(long, new Uint8Array(bytes))
  const exact = long.slice(0, read)
  const data = new TextEncoder().encode(exact)
  if (data.length !== written) throw new Error("the sample was cut inside a character")
  return { text: exact, data }
}

export const benchmark = (): void => {
  const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  const encoder = new TextEncoder()
  for (const [name, source] of Object.entries(texts)) {
    table(`validate, ${name}`, [16, 64, 1024, 65536], (bytes) => {
      const { data } = sample(source, bytes)
      return [
        { name: "TextDecoder fatal", bytes, run: () => fatal.decode(data) },
        { name: "isUtf8", bytes, run: () => isUtf8(data, 0, data.length) }
      ]
    })
    table(`encode, ${name}`, [8, 16, 24, 1024], (bytes) => {
      const { text } = sample(source, bytes)
      const target = new Uint8Array(bytes * 3 + 16)
      return [
        { name: "encodeInto", bytes, run: () => encoder.encodeInto(text, target.subarray(6)) },
        { name: "portable", bytes, run: () => portable.encodeUtf8Into(text, target, 6) }
      ]
    })
  }
}
