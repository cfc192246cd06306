/**
 * Calls and bytes in any order against a small model of a connection: what goes out, in which order, and what is known
 * of the end. Each input is a program: a byte chooses a call, the next ones its arguments.
 */
import * as Protocol from "../../src/Protocol.ts"
import { concat, frameBytes } from "./Grammar.ts"
import { type Frame, read, readFrames } from "./Reference.ts"
import { isTyped } from "./receiving.ts"
import { Choices, expect, sameAll, show, type Target } from "./Target.ts"

const encoder = new TextEncoder()
const limits = { maxMessageSize: 200, fragments: { charge: 64, max: 8 } }
// Around what is copied, what is staged and what the length forms hold.
const sizes = [0, 1, 5, 60, 125, 126]
const largeSizes = [1000, 5000, 8192, 8193, 16_370, 16_384, 40_000, 65_535, 65_536]
const texts = ["", "a", "é", "€uro", "😀", "x".repeat(130), "\uFEFFb"]
const largeTexts = ["ab".repeat(4000), "é".repeat(3000), "€".repeat(5500)]
// Large ones are rare, for the sake of millions of inputs.
const sizeOf = (choices: Choices): number => choices.byte() % 32 === 0 ? choices.pick(largeSizes) : choices.pick(sizes)
const textOf = (choices: Choices): string => choices.byte() % 32 === 0 ? choices.pick(largeTexts) : choices.pick(texts)
const codes = [1000, 1001, 1008, 3000, 4999]

/** What this side was asked to send, in order, as it must stand on the wire. */
interface Expected {
  readonly opcode: number
  readonly fin: boolean
  readonly payload: Uint8Array
}

class Model {
  readonly frames: Array<Expected> = []
  /** Pings whose Pong is owed. */
  pings: Array<Uint8Array> = []
  closed: { readonly code: number; readonly reason: string } | undefined
  fragmented: "text" | "binary" | undefined
  /** All that the peer sent, and how much of it came before our Close. */
  received: Uint8Array = new Uint8Array(0)
  beforeClose = 0

  send(opcode: number, fin: boolean, payload: Uint8Array): void {
    // §5.5.1: behind a Close nothing is sent.
    if (this.closed === undefined) this.frames.push({ opcode, fin, payload: payload.slice() })
  }

  close(code: number | undefined, reason: string): void {
    if (this.closed !== undefined) return
    this.send(8, true, code === undefined ? new Uint8Array(0) : concat([Uint8Array.of(code >> 8, code & 255), encoder.encode(reason)]))
    this.closed = { code: code ?? 1005, reason }
    this.beforeClose = this.received.length
  }
}

/** §5.5.2, §5.5.3: Pongs in the order of their pings, the latest among them, each ping answered at most once. */
const isAnswer = (pongs: ReadonlyArray<Uint8Array>, pings: ReadonlyArray<Uint8Array>, all: boolean): boolean => {
  if (all) return sameAll(pongs, pings)
  if ((pongs.length === 0) !== (pings.length === 0)) return false
  let at = 0
  for (const pong of pongs) {
    while (at < pings.length && !sameAll([pings[at]], [pong])) at++
    if (at++ >= pings.length) return false
  }
  return pongs.length === 0 || sameAll([pongs[pongs.length - 1]], [pings[pings.length - 1]])
}

// An answer echoes what the peer chose; what this side sends unasked begins with this, which no peer here sends.
const own = 0xaa

const peerFrame = (choices: Choices, key: () => Uint8Array | undefined): Uint8Array => {
  const kind = choices.byte() % 12
  const text = encoder.encode(choices.pick(["", "hi", "é", "😀", "x".repeat(70), "y".repeat(150)]))
  switch (kind) {
    case 0:
    case 1:
    case 2:
      return frameBytes(0x89, Uint8Array.of(choices.byte() & 0x7f, choices.byte()), key())
    case 3:
      return frameBytes(0x8a, Uint8Array.of(choices.byte()), key())
    case 4:
    case 5:
      return frameBytes(0x81, text, key())
    case 6:
      return frameBytes(0x82, text, key())
    case 7:
      return frameBytes(0x01, text, key())
    case 8:
    case 9:
      return frameBytes(choices.byte() % 2 === 0 ? 0x00 : 0x80, text, key())
    case 10:
      return frameBytes(0x88, concat([Uint8Array.of(3, 232 + choices.byte() % 5), text.subarray(0, 4)]), key())
    default:
      return choices.take(1 + choices.byte() % 6).slice()
  }
}

/** Runs a program, call by call; everything that was put out is looked at as it goes. */
const run = (choices: Choices): void => {
  const role = choices.pick(["server", "client"] as const)
  const model = new Model()
  const wire: Array<Frame> = []
  const messages: Array<string | Uint8Array> = []
  let pingsSeen = 0
  const protocol = Protocol.make({
    role,
    chunks: choices.pick(["borrowed", "scratch", "owned"] as const),
    limits,
    onPing: (payload) => {
      pingsSeen++
      if (model.closed === undefined) model.pings.push(payload.slice())
    }
  })
  let keys = 1
  let closed = false
  const key = () => role === "server" ? Uint8Array.of(keys++, 7, keys, 99) : undefined
  let blocked = 0
  let lent: Array<Uint8Array> = []
  let copies: Array<Uint8Array> = []

  const take = () => {
    if (lent.length > 0) return
    lent = protocol.takeOutput()
    copies = lent.map((chunk) => chunk.slice())
    expect(protocol.outputBytes === 0, () => `${protocol.outputBytes} bytes wait behind a take`)
    const frames = readFrames(concat(copies), role === "client" ? "server" : "client")
    expect(frames !== undefined, () => `put out what is no frames: ${show(copies)}`)
    const isPong = (frame: Frame) => frame.opcode === 10 && frame.payload[0] !== own
    const pongs = frames!.filter(isPong).map(({ payload }) => payload)
    // Whoever could not write, and whoever is flooded, answers the latest.
    const all = blocked === 0 && model.pings.length <= 100
    expect(isAnswer(pongs, model.pings, all), () => `answered ${show(model.pings)} with ${show(pongs)}`)
    model.pings = []
    blocked = 0
    wire.push(...frames!.filter((frame) => !isPong(frame)))
    // §5.5.1: a Pong overtakes what waits, and nothing comes behind a Close.
    const close = frames!.findIndex(({ opcode }) => opcode === 8)
    expect(frames!.length === 0 || !closed, () => "put out something after a Close")
    expect(( close === -1 || close === frames!.length - 1), () => "put out something behind a Close")
    closed ||= close !== -1
  }
  const taken = () => {
    // Nothing was written to while the transport had it.
    expect(sameAll(lent, copies), () => "what was taken out has changed")
    lent = []
    copies = []
    protocol.outputTaken()
  }
  const receive = (bytes: Uint8Array) => {
    if (bytes.length === 0) return
    model.received = concat([model.received, bytes])
    const chunk = bytes.slice()
    for (let at = protocol.receive(chunk); protocol.stopped !== undefined; at = protocol.receive(chunk, at)) {
      messages.push(...protocol.takeMessages())
    }
    if (model.closed === undefined) messages.push(...protocol.takeMessages())
  }

  protocol.demand("message")
  for (let calls = 0; !choices.isEmpty && calls < 200; calls++) {
    switch (choices.byte() % 14) {
      case 0: {
        const text = textOf(choices)
        if (model.fragmented !== undefined) break
        model.send(1, true, encoder.encode(text))
        protocol.send(text)
        break
      }
      case 1: {
        const payload = new Uint8Array(sizeOf(choices)).fill(choices.byte())
        if (model.fragmented !== undefined) break
        model.send(2, true, payload)
        protocol.send(payload)
        break
      }
      case 2: {
        const type = model.fragmented ?? choices.pick(["text", "binary"] as const)
        const text = textOf(choices)
        const last = choices.byte() % 2 === 0
        const opcode = model.fragmented === undefined ? (type === "text" ? 1 : 2) : 0
        model.send(opcode, last, encoder.encode(text))
        protocol.sendFragment(type, type === "text" ? text : encoder.encode(text), last)
        if (model.closed === undefined) model.fragmented = last ? undefined : type
        break
      }
      case 3:
      case 4: {
        const payload = new Uint8Array(1 + choices.byte() % 125).fill(own)
        const ping = choices.byte() % 2 === 0
        model.send(ping ? 9 : 10, true, payload)
        if (ping) protocol.ping(payload)
        else protocol.pong(payload)
        break
      }
      case 5: {
        const code = choices.byte() % 3 === 0 ? undefined : choices.pick(codes)
        const reason = code === undefined ? "" : choices.pick(["", "bye", "é"])
        // Rarely: a program is over soon behind it.
        if (choices.byte() % 4 !== 0) break
        model.close(code, reason)
        protocol.close(code, reason)
        break
      }
      case 6: {
        const { ending } = protocol
        if (ending?._tag === "Close") model.close(ending.code === 1005 ? undefined : ending.code, "")
        else if (ending?._tag === "Violation") model.close(ending.error.code, ending.error.rule)
        protocol.settle()
        break
      }
      case 7:
        take()
        break
      case 8:
        taken()
        break
      case 9:
        protocol.outbound.blocked = choices.byte() % 2 === 0
        if (protocol.outbound.blocked) blocked++
        break
      default:
        if (protocol.outbound.blocked) blocked++
        receive(peerFrame(choices, key))
    }
    expect(protocol.isOpen === (model.closed === undefined), () => "open and closed at once")
  }
  taken()
  take()
  taken()

  const got = wire.map(({ fin, opcode, payload }) => `${opcode}${fin ? "" : "+"} ${payload.length}`)
  const wanted = model.frames.map(({ fin, opcode, payload }) => `${opcode}${fin ? "" : "+"} ${payload.length}`)
  expect(
    wire.length === model.frames.length &&
      wire.every(({ fin, opcode, payload, rsv }, i) => {
        const frame = model.frames[i]
        return rsv === 0 && fin === frame.fin && opcode === frame.opcode && sameAll([payload], [frame.payload])
      }),
    () => `put out ${got.join(", ")}, not ${wanted.join(", ")}`
  )

  // Until our Close all is read as it stands; behind it only the end counts.
  const before = read(model.closed === undefined ? model.received : model.received.subarray(0, model.beforeClose), role, limits)
  expect(sameAll(messages, before.messages), () => `messages ${show(messages)}, not ${show(before.messages)}`)
  const meaning = read(model.received, role, limits)
  const { ending } = protocol
  expect(isTyped(ending), () => "an untyped ending")
  if (model.closed === undefined) {
    expect(pingsSeen === meaning.pings.length, () => `${pingsSeen} pings, not ${meaning.pings.length}`)
    const code = ending === undefined ? undefined : ending._tag === "Close" ? ending.code : ending.error.code
    const right = meaning.ending === undefined ? undefined : "code" in meaning.ending ? meaning.ending.code : meaning.ending.violation
    expect(code === right || (right === undefined && code === meaning.early), () => `ended with ${code}, not ${right}`)
  } else if (meaning.ending !== undefined && "code" in meaning.ending) {
    const { code } = meaning.ending
    expect(ending?._tag === "Close" && ending.code === code, () => `ended ${JSON.stringify(ending)}, not with ${code}`)
  }
  const info = protocol.closeInfo
  expect(info.clean === (model.closed !== undefined && ending?._tag === "Close"), () => `clean: ${JSON.stringify(info)}`)
  expect(
    JSON.stringify(info.sent) === JSON.stringify(model.closed),
    () => `sent ${JSON.stringify(info.sent)}, not ${JSON.stringify(model.closed)}`
  )
}

export const calling: Target = {
  name: "calling",
  generate: (random) => {
    const program = random.bytes(4 + random.below(80))
    // Large messages one after the other, with what is taken out in between.
    if (random.chance(20)) {
      return concat([
        program.subarray(0, 2),
        ...Array.from({ length: 20 }, () => Uint8Array.of(random.pick([0, 1, 1, 2, 7, 8, 10]), 0, random.next(), random.next()))
      ])
    }
    // The peer speaks half of the time anyway; a flood of pings now and then.
    return random.chance(200) ? concat([program, new Uint8Array(600).map((_, i) => [10, 0, i % 128, 5][i % 4])]) : program
  },
  run: (input) => run(new Choices(input))
}
