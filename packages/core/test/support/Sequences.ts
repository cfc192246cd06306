/**
 * Legal sequences of frames as data, and what they mean: the reference for the
 * machine that reads them.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type { Message } from "../../src/Message.ts"
import * as Opcode from "../../src/Opcode.ts"
import { closeBody, concat, frame } from "./FakeTransport.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

// Sizes around the borders of the length forms, and of what is kept as a view.
const size = Schema.Union([int(0, 300), Schema.Literals([125, 126, 2047, 2048, 5000, 65535, 65536])])

const Step = Schema.Struct({
  type: Schema.Literals(["text", "binary", "binary", "text", "ping", "pong"]),
  text: Schema.String,
  size,
  cuts: Schema.Array(int(0, 400)).check(Schema.isMaxLength(3)),
  control: Schema.Literals(["none", "none", "ping", "pong"])
})

/** What a peer does, before it may close. */
const Plan = Schema.Struct({
  steps: Schema.Array(Step).check(Schema.isMaxLength(6)),
  close: Schema.Literals(["no", "empty", "1000", "4999"])
})

export const plan = Arbitrary.schema(Plan)

/** Sizes of chunks, to be used in turn. */
export const chunking = Arbitrary.array(Arbitrary.schema(Schema.Union([int(1, 40), int(1, 6000)])), {
  minLength: 1,
  maxLength: 6
})

export interface Meaning {
  readonly messages: Array<Message>
  readonly pings: Array<Uint8Array>
  readonly pongs: Array<Uint8Array>
  readonly ending: { readonly code: number; readonly reason: string } | undefined
}

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** The bytes of a plan and what they mean. */
export const bytesOf = (given: typeof Plan.Type, masked: boolean): { bytes: Uint8Array; meaning: Meaning } => {
  const frames: Array<Uint8Array> = []
  const meaning: Meaning = {
    messages: [],
    pings: [],
    pongs: [],
    ending: given.close === "no"
      ? undefined
      : given.close === "empty"
      ? { code: 1005, reason: "" }
      : { code: Number(given.close), reason: "bye" }
  }
  const control = (type: "ping" | "pong", size: number) => {
    const payload = Uint8Array.from({ length: size % 126 }, (_, i) => i + size)
    frames.push(frame(type === "ping" ? Opcode.Ping : Opcode.Pong, payload, { masked }))
    meaning[`${type}s`].push(payload)
  }
  for (const step of given.steps) {
    if (step.type === "ping" || step.type === "pong") {
      control(step.type, step.size)
      continue
    }
    const payload = step.type === "text"
      ? encoder.encode(step.text + "aß€😀".repeat(step.size / 32))
      : Uint8Array.from({ length: step.size }, (_, i) => i * 7 + step.size)
    meaning.messages.push(step.type === "text" ? decoder.decode(payload) : payload)
    let at = 0
    step.cuts.forEach((cut, i) => {
      const end = Math.min(payload.length, at + cut)
      const opcode = i > 0 ? Opcode.Continuation : step.type === "text" ? Opcode.Text : Opcode.Binary
      frames.push(frame(opcode, payload.subarray(at, end), { fin: false, masked }))
      at = end
      if (step.control !== "none") control(step.control, step.size + i)
    })
    const opcode = step.cuts.length > 0 ? Opcode.Continuation : step.type === "text" ? Opcode.Text : Opcode.Binary
    frames.push(frame(opcode, payload.subarray(at), { masked }))
  }
  const { ending } = meaning
  if (ending !== undefined) {
    frames.push(
      frame(Opcode.Close, ending.code === 1005 ? new Uint8Array(0) : closeBody(ending.code, ending.reason), { masked })
    )
  }
  return { bytes: concat(frames), meaning }
}

/** Cuts bytes into chunks whose sizes cycle through `sizes`. */
export const chop = (bytes: Uint8Array, sizes: ReadonlyArray<number>): Array<Uint8Array<ArrayBuffer>> => {
  const chunks: Array<Uint8Array<ArrayBuffer>> = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + sizes[i % sizes.length])
    chunks.push(new Uint8Array(bytes.subarray(at, end)))
    at = end
  }
  return chunks
}
