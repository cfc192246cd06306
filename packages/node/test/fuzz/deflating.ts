/**
 * Compressed messages, and damaged ones, for the machine with permessage-deflate by Node's zlib; held against an
 * inflater that shares nothing with zlib.
 */
import { CompressionBudget, PerMessageDeflate, Protocol } from "@effect-ws/core"
import { constants, deflateRawSync } from "node:zlib"
import { concat, frameBytes, mutate } from "../../../core/test/fuzz/Grammar.ts"
import { Random } from "../../../core/test/fuzz/Random.ts"
import { readInto } from "../../../core/test/fuzz/Reading.ts"
import { Choices, expect, same, show, type Target } from "../../../core/test/fuzz/Target.ts"
import * as NodeDeflate from "../../src/NodeDeflate.ts"
import { Inflater } from "../../src/conformance/wire/Inflater.ts"

const limit = 200_000
const budget = CompressionBudget.make()
const extension = PerMessageDeflate.make(NodeDeflate.codec, budget)

const strategies = [constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY, constants.Z_RLE]
const words = ["hello ", "{\"price\":", "0", "aé€😀", "\0\0\0\0", "the quick brown fox ", "zzzzzzzz"]

/** What one message holds, out of few words, so that it refers back. */
const contents = (random: Random): Buffer => {
  if (random.chance(8)) return Buffer.from(random.bytes(random.size(400)))
  if (random.chance(150)) return Buffer.alloc(random.pick([65_535, 65_536, 65_537, 150_000, limit - 2 + random.below(5)]))
  let text = ""
  for (let n = random.below(40); n > 0; n--) text += random.pick(words)
  return Buffer.from(text)
}

const deflate = (random: Random, payload: Buffer, history: Buffer, final: boolean): Buffer => {
  const options = { level: random.below(10), strategy: random.pick(strategies), windowBits: 15, memLevel: 1 + random.below(9) }
  const dictionary = history.length === 0 ? {} : { dictionary: history }
  // Blocks without and with an end in between (RFC 7692 §7.2.3.3, §7.2.3.4).
  if (final) return Buffer.concat([deflateRawSync(payload, { ...options, ...dictionary }), Buffer.of(0)])
  const out = deflateRawSync(payload, { ...options, ...dictionary, finishFlush: constants.Z_SYNC_FLUSH })
  return out.subarray(0, out.length - 4)
}

interface Sent {
  readonly text: boolean
  readonly payload: Uint8Array
  readonly damaged: boolean
}

/** Each message as the next input bytes say: made by zlib, damaged or not. */
const messagesOf = (choices: Choices, takeover: boolean): Array<Sent> => {
  const messages: Array<Sent> = []
  let history: Buffer = Buffer.alloc(0)
  for (let n = 1 + choices.byte() % 4; n > 0; n--) {
    const random = new Random(choices.byte() * 65536 + choices.byte() * 256 + choices.byte())
    const damaged = choices.byte() % 3 === 0
    const payload = contents(random)
    const final = random.chance(8)
    let bytes: Uint8Array = deflate(random, payload, history, final)
    if (damaged) bytes = random.chance(6) ? random.bytes(random.size(60)) : mutate(random, bytes)
    messages.push({ text: choices.byte() % 2 === 0, payload: bytes, damaged })
    // Behind a final block another stream begins.
    if (takeover) history = final ? Buffer.alloc(0) : Buffer.concat([history, payload]).subarray(-32768)
    // What an inflater keeps of a damaged message is not what was meant.
    if (damaged) break
  }
  return messages
}

interface Outcome {
  readonly messages: Array<string | Uint8Array>
  readonly violation: string | undefined
}

/**
 * Behind a final block an encoder owes one byte more, so that the removed tail completes an empty block (RFC 7692
 * §7.2.3.4). As zlib and `ws` do we take it without: `forgiving` gives that byte to the last message.
 */
const inflateByReference = (messages: ReadonlyArray<Sent>, takeover: boolean, forgiving: boolean): Outcome => {
  const inflater = new Inflater({ windowBits: 15, noContextTakeover: !takeover })
  const last = messages.at(-1)
  const got: Array<string | Uint8Array> = []
  for (const { payload, text } of messages) {
    let bytes: Uint8Array
    try {
      bytes = inflater.message(forgiving && payload === last?.payload ? concat([payload, new Uint8Array(1)]) : payload)
    } catch (error) {
      return { messages: got, violation: String(error) }
    }
    if (bytes.length > limit) return { messages: got, violation: "1009" }
    if (text) {
      try {
        got.push(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes))
      } catch {
        return { messages: got, violation: "1007" }
      }
    } else {
      got.push(Uint8Array.from(bytes))
    }
  }
  return { messages: got, violation: undefined }
}

const inflateByUs = (frames: Uint8Array, takeover: boolean, random: Random): Outcome => {
  const offer = { name: "permessage-deflate", params: takeover ? [] : [{ name: "client_no_context_takeover" }] }
  const transform = extension.answer(offer)!.open()
  const owner = random.pick(["owned", "scratch", "borrowed"] as const)
  const reader = random.pick(["message", "fragments"] as const)
  const protocol = Protocol.make({
    role: "server",
    chunks: owner,
    limits: { maxMessageSize: limit, maxStreamedMessageSize: limit, inboundHighWaterMark: 1000 },
    transform
  })
  const messages: Array<string | Uint8Array> = []
  const take = readInto(messages, protocol, reader)
  take()
  const most = Math.max(random.pick([1, 5, 100, 10_000]), frames.length >> 8)
  for (let from = 0; from < frames.length;) {
    const chunk = frames.slice(from, from + 1 + random.below(most))
    from += chunk.length
    let steps = 0
    for (let at = protocol.receive(chunk); protocol.stopped !== undefined; at = protocol.receive(chunk, at)) {
      expect(++steps < 2000 + 2 * chunk.length, () => `makes no progress: ${protocol.stopped}`)
      take()
    }
    take()
    if (owner !== "owned") chunk.fill(0xee)
  }
  take()
  take()
  transform.close()
  const { ending } = protocol
  expect(ending?._tag !== "Close", () => "a Close that was not sent")
  const violation = ending?._tag === "Violation" ? `${ending.error.code} ${ending.error.rule} ${ending.error.detail}` : undefined
  return { messages, violation }
}

// Damaged messages that we refuse and the reference takes: zlib wants codes without gaps, and takes a stream anew behind
// a final block, with nothing to refer to; we want the tail to be an empty block and not a part of another.
const stricterHere = ["the message ends within a block", "invalid distances set", "invalid literal/lengths set", "invalid code lengths set",
  "invalid literal/length code", "invalid distance code", "too many length or distance symbols",
  "missing end-of-block", "invalid distance too far back"]

const framesOf = (messages: ReadonlyArray<Sent>, random: Random): Uint8Array => {
  const frames: Array<Uint8Array> = []
  for (const { payload, text } of messages) {
    let first = 0x40 | (text ? 1 : 2)
    let at = 0
    for (let more = random.chance(2) ? random.below(4) : 0; more > 0; more--) {
      const end = at + random.size(payload.length - at + 1)
      frames.push(frameBytes(first, payload.subarray(at, end), random.bytes(4)))
      if (random.chance(3)) frames.push(frameBytes(0x89, random.bytes(3), random.bytes(4)))
      first = 0
      at = end
    }
    frames.push(frameBytes(0x80 | first, payload.subarray(at), random.bytes(4)))
  }
  return concat(frames)
}

export const deflating: Target = {
  name: "deflating",
  generate: (random) => random.bytes(4 + random.below(24)),
  run: (input) => {
    const choices = new Choices(input)
    const takeover = choices.byte() % 2 === 0
    const random = new Random(choices.byte())
    const sent = messagesOf(choices, takeover)
    const got = inflateByUs(framesOf(sent, random), takeover, random)
    const holds = (meant: Outcome): boolean => {
      const code = got.violation?.slice(0, 4)
      const agrees = got.messages.length === meant.messages.length
      if (!got.messages.every((message, i) => i < meant.messages.length && same(message, meant.messages[i]))) return false
      // What zlib made must arrive.
      if (!sent.some(({ damaged }) => damaged)) return agrees && code === meant.violation
      if (meant.violation !== undefined) return agrees && (code === "1007" || code === "1009")
      return agrees && code === undefined || stricterHere.some((what) => got.violation?.includes(what))
    }
    const strict = inflateByReference(sent, takeover, false)
    expect(
      holds(strict) || (got.violation === undefined && holds(inflateByReference(sent, takeover, true))),
      () => `${show(got.messages)} ${got.violation}, not ${show(strict.messages)} ${strict.violation}`
    )
    // Of what connections took, nothing is theirs when they are gone.
    expect(budget.contexts <= 4, () => `${budget.contexts} contexts are left`)
  }
}
