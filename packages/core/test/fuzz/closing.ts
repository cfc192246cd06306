/**
 * How connections end: the machine beside a model of RFC 6455 §7, and the deadlines of the pure machine that says when to
 * give up. Each input is a program: a byte chooses what happens, the next ones its arguments.
 */
import { Closing, type Step } from "../../src/protocol/Closing.ts"
import * as Protocol from "../../src/Protocol.ts"
import { concat, frameBytes } from "./Grammar.ts"
import { closeInfoOf, ClosingReference, type Happening, read, readFrames } from "./Reference.ts"
import { Choices, expect, sameAll, show, type Target } from "./Target.ts"

const encoder = new TextEncoder()
const limits = { maxMessageSize: 200, fragments: { charge: 64, max: 8 } }
const codes = [1000, 1001, 1011, 3000, 4999]
const roles = ["server", "client"] as const

const closeBody = (code: number | undefined, reason: string): Uint8Array =>
  code === undefined ? new Uint8Array(0) : concat([Uint8Array.of(code >> 8, code & 255), encoder.encode(reason)])

/** One connection: what the peer sends arrives in any pieces, and is held against what it means. */
const connection = (choices: Choices): void => {
  const role = choices.pick(roles)
  const messages: Array<string | Uint8Array> = []
  const sent: Array<Uint8Array> = []
  const happened: Array<Happening> = []
  const reference = new ClosingReference(role)
  const pings: Array<Uint8Array> = []
  const protocol = Protocol.make({ role, limits, onPing: (payload) => pings.push(payload.slice()) })
  const key = role === "server" ? Uint8Array.of(1, 2, 3, 4) : undefined
  // What the peer sent and what of it arrived, and how much of that before our Close.
  let underway: Uint8Array = new Uint8Array(0)
  let arrived: Uint8Array = new Uint8Array(0)
  let before: number | undefined
  let hasEnded = false

  const noteSent = (): void => {
    const { sentClose } = protocol
    if (sentClose === undefined || before !== undefined) return
    before = arrived.length
    happened.push({ what: "sent", ...sentClose })
  }
  const noteEnding = (): void => {
    if (happened.some(({ what }) => what === "received" || what === "violation")) return
    const { ending } = read(arrived, role, limits)
    if (ending === undefined) return
    happened.push("violation" in ending ? { what: "violation" } : { what: "received", ...ending })
  }
  const say = (firstByte: number, payload: Uint8Array): void => {
    underway = concat([underway, frameBytes(firstByte, payload, key)])
  }
  const arrive = (size: number): void => {
    if (hasEnded) return
    const chunk = underway.slice(0, size)
    underway = underway.slice(size)
    arrived = concat([arrived, chunk])
    protocol.receive(chunk)
    noteEnding()
    messages.push(...protocol.takeMessages())
  }
  const write = (): void => {
    sent.push(...protocol.takeOutput().map((part) => part.slice()))
    protocol.outputTaken()
  }
  const look = (): void => {
    const wanted = reference.next(happened, protocol.outputBytes === 0)
    const step = protocol.nextStep()
    expect(step === wanted, () => `${step}, not ${wanted}, after ${JSON.stringify(happened)}`)
  }

  protocol.demand("message")
  for (let steps = 0; !choices.isEmpty && steps < 200; steps++) {
    switch (choices.byte() % 12) {
      case 0:
        say(0x81, encoder.encode(choices.pick(["", "hi", "\u00e9"])))
        break
      case 1:
        say(0x89, Uint8Array.of(choices.byte()))
        break
      case 2:
        say(0x88, closeBody(choices.byte() % 3 === 0 ? undefined : choices.pick(codes), choices.pick(["", "bye"])))
        break
      case 3:
        // A reserved opcode, seldom: nothing is read behind it.
        if (choices.byte() % 4 === 0) say(0x83, new Uint8Array(0))
        else say(0x01, Uint8Array.of(0x61))
        break
      case 4:
        say(0x80, Uint8Array.of(0x62))
        break
      case 5:
        arrive(choices.byte())
        break
      case 6:
        arrive(Infinity)
        break
      case 7:
        protocol.send("data")
        protocol.ping(Uint8Array.of(1))
        break
      case 8: {
        const code = choices.byte() % 3 === 0 ? undefined : choices.pick(codes)
        protocol.close(code, code === undefined ? "" : choices.pick(["", "h\u00e9"]))
        noteSent()
        break
      }
      case 9:
        protocol.settle()
        noteSent()
        break
      case 10:
        write()
        look()
        break
      default:
        if (choices.byte() % 4 !== 0 || hasEnded) break
        arrive(Infinity)
        hasEnded = true
        protocol.receiveEnd()
        happened.push({ what: "ended" })
    }
    if (choices.byte() % 4 === 0) look()
    const info = protocol.closeInfo
    const wanted = closeInfoOf(happened)
    const { clean, code, initiator, reason, received, sent } = info
    expect(
      JSON.stringify({ code, reason, initiator, clean, sent, received }) === JSON.stringify(wanted),
      () => `${JSON.stringify(info)}, not ${JSON.stringify(wanted)}`
    )
    expect(protocol.isOpen === (before === undefined), () => "open and closed at once")
  }
  write()

  // §5.5.1: behind our Close nothing that arrives is delivered or answered, and nothing is sent.
  const meaning = read(arrived.subarray(0, before), role, limits)
  expect(sameAll(messages, meaning.messages), () => `messages ${show(messages)}, not ${show(meaning.messages)}`)
  const frames = readFrames(concat(sent), role === "client" ? "server" : "client")
  expect(frames !== undefined, () => `put out what is no frames: ${show(sent)}`)
  const closes = frames!.filter(({ opcode }) => opcode === 8)
  expect(closes.length === (before === undefined ? 0 : 1), () => `${closes.length} Close frames`)
  expect(closes.length === 0 || frames!.at(-1)!.opcode === 8, () => "put out something behind a Close")
  // Pings behind it are still seen: a peer must not be able to flood by them.
  expect(pings.length >= meaning.pings.length, () => `${pings.length} pings, not ${meaning.pings.length}`)
  const pongs = frames!.filter(({ opcode }) => opcode === 10).length
  expect(pongs === Math.min(meaning.pings.length, pongs) && pongs >= Math.min(meaning.pings.length, 1), () => `${pongs} pongs`)
}

const patience = { silence: 5, bound: 60 }

/** The machine by itself, asked when it says so: it ends in time, and gives up on nobody who shows signs of life. */
const deadlines = (choices: Choices): void => {
  const closing = new Closing(choices.pick(roles), patience)
  const seen: Array<Step> = []
  let now = 0
  let began: number | undefined
  let heard = 0
  let sentAt: number | undefined
  let hasEnded = false

  const look = (): void => {
    for (let step = closing.next(now); step !== "nothing"; step = closing.next(now)) {
      seen.push(step)
      expect(seen.length < 10, () => `no end: ${seen.join(" ")}`)
      const quiet = now - Math.max(heard, began ?? 0)
      const isOver = began !== undefined && now - began >= patience.bound
      if (step === "destroy") {
        expect(hasEnded || isOver || quiet >= patience.silence, () => `destroyed after a silence of ${quiet}`)
      } else if (step === "giveUp" || step === "unanswered") {
        expect(isOver || quiet >= patience.silence, () => `${step} after a silence of ${quiet}`)
      }
    }
  }
  const pass = (until: number): void => {
    while (closing.due <= until) {
      expect(closing.due >= now, () => `due at ${closing.due}, and it is ${now}`)
      now = closing.due
      const { length } = seen
      look()
      expect(closing.due > now, () => `nothing done at ${now}, and due again: ${seen.slice(length).join(" ")}`)
    }
    now = until
  }

  for (let steps = 0; !choices.isEmpty && steps < 100; steps++) {
    pass(now + choices.byte() % 8)
    switch (choices.byte() % 8) {
      case 0:
      case 1:
        closing.want(now, choices.byte() % 2 === 0)
        began ??= now
        break
      case 2:
        closing.sent(now)
        began ??= now
        sentAt ??= now
        break
      case 3:
        closing.written()
        break
      case 4:
        closing.receivedEnding(choices.byte() % 4 === 0 ? "Violation" : "Close")
        break
      case 5:
        if (choices.byte() % 4 !== 0) break
        closing.peerEnded()
        hasEnded = true
        break
      default:
        closing.alive(now)
        heard = now
    }
    look()
  }
  // Whatever happened, a Close that was sent comes to its end within the bound.
  closing.sent(now)
  began ??= now
  sentAt ??= now
  look()
  pass(Math.max(now, began) + patience.bound)
  expect(seen.at(-1) === "destroy", () => `ended with ${seen.join(" ")}`)
  for (const step of ["giveUp", "unanswered", "end", "destroy"]) {
    expect(seen.filter((one) => one === step).length <= 1, () => `more than once: ${seen.join(" ")}`)
  }
}

export const closing: Target = {
  name: "closing",
  generate: (random) => random.bytes(4 + random.below(60)),
  run: (input) => {
    const choices = new Choices(input)
    if (choices.byte() % 4 === 0) deadlines(choices)
    else connection(choices)
  }
}
