/** Messages through an extension, in the machine alone: no time, no transport. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type * as Limits from "../../src/Limits.ts"
import type { Message } from "../../src/Message.ts"
import * as Opcode from "../../src/Opcode.ts"
import * as Protocol from "../../src/Protocol.ts"
import { ExtensionDecoding } from "../../src/protocol/ExtensionDecoding.ts"
import { closeBody, concat } from "../support/FakeTransport.ts"
import * as RunLength from "../support/RunLength.ts"
import { chop, chunking } from "../support/Sequences.ts"

const KiB = 1024
const MiB = 1024 * KiB
const { frame, message, run } = RunLength
const zeros = (size: number) => frame(Opcode.Binary, run(size, 0), { rsv2: true })

const setup = (limits: Limits.Options = {}, options: RunLength.Options = {}, chunks: Protocol.Options["chunks"] = "owned") => {
  const transform = RunLength.open(options)
  const pongs: Array<string> = []
  const protocol = Protocol.make({
    role: "server",
    limits,
    chunks,
    transform,
    onPing: (payload) => pongs.push(`${new TextDecoder().decode(payload)} after ${transform.decoded}`)
  })
  return { transform, protocol, pongs }
}

const endingOf = (protocol: Protocol.Protocol): string => {
  const { ending } = protocol
  return ending === undefined ? "none" : ending._tag === "Close" ? `${ending.code}` : `${ending.error.code} ${ending.error.rule}`
}

/** Gives a chunk until all of it is read, turn after turn; a decision that is missing fails. */
const readAll = (protocol: Protocol.Protocol, chunk: Uint8Array, take: () => void): number => {
  let turns = 0
  for (let at = protocol.receive(chunk); protocol.stopped !== undefined; at = protocol.receive(chunk, at)) {
    if (protocol.stopped === "turn") turns++
    else take()
  }
  take()
  return turns
}

const Step = Schema.Struct({
  text: Schema.Boolean,
  encoded: Schema.Literals([true, true, false]),
  runs: Schema.Array(Schema.Literals([1, 2, 3, 100, 5000, 70_000])).check(Schema.isMaxLength(4)),
  cuts: Schema.Array(Schema.Literals([0, 1, 3, 5, 12])).check(Schema.isMaxLength(4)),
  ping: Schema.Boolean
})
const plan = Arbitrary.array(Arbitrary.schema(Step), { minLength: 1, maxLength: 5 })
const letters = ["a", "é", "€", "😀"]

const build = (steps: ReadonlyArray<typeof Step.Type>): { bytes: Uint8Array; messages: Array<Message>; pings: number } => {
  const frames: Array<Uint8Array> = []
  const messages: Array<Message> = []
  let pings = 0
  steps.forEach(({ cuts, encoded, ping, runs, text }, n) => {
    const value: Message = text
      ? runs.map((length, i) => letters[i].repeat(length % 1000)).join("")
      : concat(runs.map((length, i) => new Uint8Array(length).fill(i + n)))
    messages.push(value)
    const opcode = text ? Opcode.Text : Opcode.Binary
    if (!encoded) {
      frames.push(frame(opcode, value))
      return
    }
    frames.push(message(opcode, value, cuts, {
      between: () => {
        if (!ping) return new Uint8Array(0)
        pings++
        return frame(Opcode.Ping, "p")
      }
    }))
  })
  return { bytes: concat(frames), messages, pings }
}

const limits = { maxMessageSize: 2 * MiB }

describe("Decoding", () => {
  for (const chunks of ["owned", "scratch", "borrowed"] as const) {
    it.prop(`any chunks (${chunks}) give the messages that were sent`, [plan, chunking], ([steps, sizes]) => {
      const { bytes, messages, pings } = build(steps)
      const { pongs, protocol } = setup(limits, { stepSize: 4096 }, chunks)
      const got: Array<Message> = []
      protocol.demand("message")
      for (const chunk of chop(bytes, sizes)) {
        readAll(protocol, chunk, () => got.push(...protocol.takeMessages()))
        if (chunks !== "owned") chunk.fill(0xee)
      }
      assert.strictEqual(endingOf(protocol), "none")
      assert.deepStrictEqual(got, messages)
      assert.strictEqual(pongs.length, pings)
      assert.isFalse(protocol.isPartial)
    })

    it.prop(`any chunks (${chunks}) give the same in pieces`, [plan, chunking], ([steps, sizes]) => {
      const { bytes, messages } = build(steps)
      const { protocol } = setup({ maxMessageSize: 100, inboundHighWaterMark: 3000 }, { stepSize: 1024 }, chunks)
      const got: Array<Message> = []
      let pieces: Array<string | Uint8Array> = []
      const take = () => {
        const { fragments } = protocol
        if (fragments !== undefined) {
          // They began when no message waited, so they come first.
          // The mark and a step, or what a chunk holds as it is.
          assert.isBelow(fragments.queuedBytes, 3000 + 1024 + 6000)
          pieces.push(...fragments.take())
          if (!fragments.done) return
          got.push(fragments.type === "text" ? pieces.join("") : concat(pieces as Array<Uint8Array>))
          pieces = []
          protocol.endFragments()
        }
        got.push(...protocol.takeMessages())
        protocol.demand("fragments")
      }
      protocol.demand("fragments")
      for (const chunk of chop(bytes, sizes)) {
        let at = 0
        for (;;) {
          at = protocol.receive(chunk, at)
          take()
          if (protocol.stopped === undefined && at === chunk.length) break
        }
        take()
        if (chunks !== "owned") chunk.fill(0xee)
      }
      assert.deepStrictEqual(got, messages)
    })
  }

  it("stops when the turn is over, and goes on where it was", () => {
    const { pongs, protocol, transform } = setup({ maxMessageSize: 2 * MiB })
    protocol.demand("message")
    const chunk = concat([
      frame(Opcode.Binary, run(MiB, 1), { fin: false, rsv2: true }),
      frame(Opcode.Ping, "a"),
      frame(Opcode.Continuation, run(1, 2)),
      frame(Opcode.Ping, "b")
    ])
    let at = protocol.receive(chunk)
    assert.strictEqual(protocol.stopped, "turn")
    assert.strictEqual(transform.decoded, 256 * KiB)
    assert.deepStrictEqual(pongs, [], "control frames keep their place")
    assert.isBelow(at, chunk.length)
    let turns = 1
    while (protocol.stopped === "turn") {
      at = protocol.receive(chunk, at)
      turns++
    }
    assert.strictEqual(turns, 5)
    assert.strictEqual(at, chunk.length)
    assert.deepStrictEqual(pongs, [`a after ${MiB}`, `b after ${MiB + 1}`])
    const [whole] = protocol.takeMessages() as [Uint8Array]
    assert.strictEqual(whole.length, MiB + 1)
    assert.strictEqual(whole[MiB], 2)
  })

  it("many small messages share a turn, and steps without output end it too", () => {
    const { protocol, transform } = setup({ inboundHighWaterMark: 10 * MiB })
    // A turn may see many chunks.
    while (protocol.stopped === undefined) protocol.receive(concat(Array.from({ length: 20 }, () => zeros(1))))
    assert.strictEqual(protocol.stopped, "turn")
    assert.isAtMost(transform.steps, 256)
    assert.isAbove(transform.steps, 200)
  })

  it("the decoder is told of the end of a message, in an empty last fragment too, and not of other empty ones", () => {
    const given: Array<readonly [number, boolean]> = []
    const transform = RunLength.open()
    const decoder = {
      begin: () => {},
      push: (bytes: Uint8Array, last: boolean) => void given.push([bytes.length, last]),
      next: () => undefined
    }
    const protocol = Protocol.make({ role: "server", chunks: "owned", transform: { ...transform, decoder } })
    for (const sizes of [[0], [2, 0, 3], [2, 0], [0, 0, 0]]) {
      given.length = 0
      sizes.forEach((size, i) => {
        const fin = i === sizes.length - 1
        const [opcode, rsv2] = i === 0 ? [Opcode.Binary, true] as const : [Opcode.Continuation, false] as const
        protocol.receive(frame(opcode, new Uint8Array(size), { fin, rsv2 }))
      })
      const expected = sizes.map((size, i) => [size, i === sizes.length - 1] as const).filter(([size, last]) => size > 0 || last)
      assert.deepStrictEqual(given, expected)
      assert.strictEqual(protocol.takeMessages().length, 1)
    }
  })

  it("input that puts out nothing ends the turn as well, and is given in small parts", () => {
    const given: Array<readonly [number, boolean]> = []
    const transform = RunLength.open()
    const protocol = Protocol.make({
      role: "server",
      chunks: "owned",
      transform: {
        ...transform,
        decoder: {
          begin: () => {},
          push: (bytes, last) => void given.push([bytes.length, last]),
          next: () => undefined
        }
      }
    })
    const chunk = concat([
      frame(Opcode.Binary, new Uint8Array(200 * KiB), { fin: false, rsv2: true }),
      frame(Opcode.Continuation, new Uint8Array(1))
    ])
    let at = protocol.receive(chunk)
    let turns = 1
    for (; protocol.stopped === "turn"; turns++) at = protocol.receive(chunk, at)
    assert.strictEqual(at, chunk.length)
    assert.deepStrictEqual(given, [...Array.from({ length: 12 }, () => [16 * KiB, false] as const), [8 * KiB, false], [1, true]])
    assert.strictEqual(turns, 4)
    assert.deepStrictEqual(protocol.takeMessages(), [new Uint8Array(0)])
    assert.deepStrictEqual([protocol.inbound.decoding!.inputBytes, protocol.inbound.decoding!.outputBytes], [200 * KiB + 1, 0])
  })

  describe("by itself", () => {
    /** A decoder that is given its outputs, and a sink that the test opens and shuts. */
    const alone = (outputs: Array<Uint8Array | { readonly detail: string }> = []) => {
      const log: Array<string> = []
      const sink = {
        full: false,
        takes: true,
        over: false,
        isFull: () => sink.full,
        put: (bytes: Uint8Array) => {
          log.push(`${sink.takes ? "put" : "refused"} ${bytes.length}`)
          return sink.takes
        },
        onFailure: (detail: string) => void log.push(`failed ${detail}`),
        isOver: () => sink.over
      }
      const decoding = new ExtensionDecoding({
        rsv: 2,
        decoder: {
          begin: (rsv) => (log.push(`begin ${rsv}`), undefined),
          push: (bytes, last) => (log.push(`push ${bytes.length}${last ? " last" : ""}`), undefined),
          next: () => outputs.shift()
        }
      }, sink)
      return { decoding, log, outputs, sink }
    }
    const sized = (count: number, size: number) => Array.from({ length: count }, () => new Uint8Array(size))

    it("counts what goes in and what comes out, of the message and in all", () => {
      const { decoding, log, outputs } = alone(sized(2, 100))
      assert.deepStrictEqual([decoding.inputBytes, decoding.outputBytes, decoding.inMessage, decoding.produced], [0, 0, false, 0])
      decoding.begin(2)
      assert.isTrue(decoding.inMessage)
      assert.isUndefined(decoding.push(new Uint8Array(7), false))
      outputs.push(new Uint8Array(1))
      assert.isUndefined(decoding.push(new Uint8Array(3), true))
      assert.deepStrictEqual([decoding.inputBytes, decoding.outputBytes, decoding.isBusy], [10, 201, false])
      assert.deepStrictEqual(log, ["begin 2", "push 7", "put 100", "put 100", "push 3 last", "put 1"])
      decoding.produced = 5
      decoding.end()
      assert.deepStrictEqual([decoding.inMessage, decoding.produced], [false, 0])
      assert.isUndefined(decoding.goOn(), "there is nothing to do")
      assert.strictEqual(log.length, 6)
    })

    it("asks the decoder for nothing before it was given something", () => {
      const { decoding, log, outputs } = alone(sized(1, 1))
      assert.isUndefined(decoding.goOn())
      assert.deepStrictEqual([log, outputs.length], [[], 1])
    })

    it("256 steps are a turn, whatever little they put out, or 256 KiB of output, or 64 KiB of input", () => {
      for (const [size, steps] of [[0, 256], [1024, 256], [2048, 128], [256 * KiB, 1]] as const) {
        const { decoding, outputs } = alone(sized(1000, size))
        assert.strictEqual(decoding.push(new Uint8Array(0), true), "turn")
        assert.isTrue(decoding.isBusy)
        assert.strictEqual(outputs.length, 1000 - steps)
        assert.strictEqual(decoding.goOn(), "turn", "until the next turn")
        decoding.beginTurn()
        assert.strictEqual(decoding.goOn(), "turn")
        assert.strictEqual(outputs.length, 1000 - 2 * steps)
      }
      const { decoding } = alone()
      for (let i = 0; i < 64; i++) assert.isUndefined(decoding.push(new Uint8Array(KiB), false))
      assert.strictEqual(decoding.push(new Uint8Array(KiB), false), "turn")
      assert.strictEqual(decoding.inputBytes, 64 * KiB)
    })

    it("stops where the reader is full, and holds back what it does not take", () => {
      const { decoding, log, outputs, sink } = alone(sized(2, 10))
      sink.full = true
      assert.strictEqual(decoding.push(new Uint8Array(1), true), "full")
      assert.deepStrictEqual([log, decoding.isBusy], [[], true])
      sink.full = false
      sink.takes = false
      assert.strictEqual(decoding.goOn(), "undecided")
      assert.strictEqual(decoding.goOn(), "undecided")
      assert.deepStrictEqual([log, outputs.length], [["push 1 last", "refused 10", "refused 10"], 1])
      sink.takes = true
      assert.isUndefined(decoding.goOn())
      assert.deepStrictEqual(log.slice(3), ["put 10", "put 10"])
      assert.isFalse(decoding.isBusy)
    })

    it("stops at the end of the connection, and at a failure", () => {
      const over = alone(sized(2, 10))
      over.sink.over = true
      assert.isUndefined(over.decoding.push(new Uint8Array(1), true))
      assert.deepStrictEqual([over.log, over.outputs.length], [["push 1 last", "put 10"], 1])
      const failing = alone([new Uint8Array(1), { detail: "damaged" }, new Uint8Array(1)])
      assert.isUndefined(failing.decoding.push(new Uint8Array(1), true))
      assert.deepStrictEqual([failing.log, failing.outputs.length], [["push 1 last", "put 1", "failed damaged"], 1])
    })

    it("keeps none of the peer's bytes once they are decoded, or nothing wants them", () => {
      const { decoding, sink } = alone()
      const bytes = new Uint8Array(1)
      const isKept = () => Object.values(decoding).includes(bytes)
      decoding.push(bytes, false)
      assert.isFalse(isKept(), "decoded")
      sink.full = true
      decoding.push(bytes, false)
      assert.isTrue(isKept(), "waiting")
      decoding.drop()
      assert.isFalse(isKept(), "dropped")
    })

    it("drops what it holds back", () => {
      const { decoding, log, sink } = alone(sized(1, 10))
      sink.takes = false
      decoding.push(new Uint8Array(1), true)
      decoding.drop()
      assert.isFalse(decoding.isBusy)
      sink.takes = true
      assert.isUndefined(decoding.goOn())
      assert.deepStrictEqual(log, ["push 1 last", "refused 10"])
    })
  })

  describe("reserved bits", () => {
    const cases: ReadonlyArray<readonly [string, ReadonlyArray<Uint8Array>]> = [
      ["unclaimed", [frame(Opcode.Binary, "x", { rsv1: true })]],
      ["unclaimed beside the claimed one", [frame(Opcode.Binary, run(1, 1), { rsv2: true, rsv3: true })]],
      ["on a Ping", [frame(Opcode.Ping, "x", { rsv2: true })]],
      ["on a Pong", [frame(Opcode.Pong, "x", { rsv2: true })]],
      ["on a Close", [frame(Opcode.Close, closeBody(1000), { rsv2: true })]],
      ["on a continuation", [
        frame(Opcode.Binary, run(1, 1), { fin: false, rsv2: true }),
        frame(Opcode.Continuation, run(1, 1), { rsv2: true })
      ]],
      ["on the continuation of a message without", [
        frame(Opcode.Binary, "x", { fin: false }),
        frame(Opcode.Continuation, run(1, 1), { rsv2: true })
      ]],
      ["on a Ping between fragments", [
        frame(Opcode.Binary, run(1, 1), { fin: false, rsv2: true }),
        frame(Opcode.Ping, "x", { rsv2: true })
      ]]
    ]
    for (const [what, frames] of cases) {
      it(`${what}: 1002`, () => {
        const { protocol } = setup()
        protocol.receive(concat(frames))
        assert.strictEqual(endingOf(protocol), "1002 ReservedBit")
        assert.deepStrictEqual(protocol.takeMessages(), [])
      })
    }

    it("without an extension none is claimed", () => {
      const protocol = Protocol.make({ role: "server" })
      protocol.receive(zeros(1))
      assert.strictEqual(endingOf(protocol), "1002 ReservedBit")
    })

    it("the decoder is told which were set, and not called for a message without", () => {
      const { protocol, transform } = setup()
      protocol.receive(concat([frame(Opcode.Text, "plain"), zeros(3), frame(Opcode.Binary, "x")]))
      assert.deepStrictEqual(transform.begun, [2])
      assert.deepStrictEqual(protocol.takeMessages().map((one) => one.length), [5, 3, 1])
    })
  })

  describe("limits count what comes out", () => {
    it("a message of exactly the limit, and one byte more", () => {
      for (const more of [0, 1]) {
        const { protocol } = setup({ maxMessageSize: 100_000 })
        protocol.demand("message")
        readAll(protocol, zeros(100_000 + more), () => {})
        assert.strictEqual(endingOf(protocol), more === 0 ? "none" : "1009 MessageTooBig")
      }
    })

    it("a bomb is refused at once, for a reader of whole messages", () => {
      const { protocol, transform } = setup({ maxMessageSize: MiB })
      protocol.demand("message")
      readAll(protocol, zeros(2 ** 32 - 1), () => {})
      assert.strictEqual(endingOf(protocol), "1009 MessageTooBig")
      assert.isAtMost(transform.decoded, MiB + 64 * KiB, "no more than a step above the limit")
    })

    it("nobody reads: it waits undecided, and no more is decoded", () => {
      const { protocol, transform } = setup({ maxMessageSize: MiB, inboundHighWaterMark: 2 * MiB })
      const chunk = concat([zeros(8 * MiB), frame(Opcode.Close, closeBody(1000))])
      let at = protocol.receive(chunk)
      while (protocol.stopped === "turn") at = protocol.receive(chunk, at)
      assert.strictEqual(protocol.stopped, "undecided")
      assert.strictEqual(transform.decoded, MiB + 64 * KiB)
      assert.strictEqual(protocol.receive(chunk, at), at)
      assert.strictEqual(transform.decoded, MiB + 64 * KiB, "held, not decoded again")

      protocol.demand("fragments")
      let sum = 0
      while (protocol.ending === undefined) {
        at = protocol.receive(chunk, at)
        assert.isAtMost(protocol.inbound.queuedBytes, 2 * MiB + 128 * KiB)
        for (const piece of protocol.fragments!.take()) sum += piece.length
      }
      assert.strictEqual(sum, 8 * MiB)
      assert.strictEqual(endingOf(protocol), "1000")
    })

    it("asked for in pieces behind a message that waits: it is, once that is taken", () => {
      const { protocol } = setup({ maxMessageSize: MiB, inboundHighWaterMark: 2 * MiB })
      const chunk = concat([frame(Opcode.Text, "first"), zeros(8 * MiB)])
      let at = protocol.receive(chunk)
      const pieces = () => protocol.fragments
      protocol.demand("fragments")
      assert.isUndefined(pieces(), "the first message comes first")
      assert.deepStrictEqual(protocol.takeMessages(), ["first"])
      let sum = 0
      for (let turns = 0; sum < 8 * MiB; turns++) {
        assert.isBelow(turns, 1000)
        at = protocol.receive(chunk, at)
        for (const piece of pieces()?.take() ?? []) sum += piece.length
      }
      assert.strictEqual(sum, 8 * MiB)
    })

    it("undecided and then read as a whole is refused", () => {
      const { protocol } = setup({ maxMessageSize: MiB, inboundHighWaterMark: 2 * MiB })
      const chunk = zeros(8 * MiB)
      let at = protocol.receive(chunk)
      while (protocol.stopped === "turn") at = protocol.receive(chunk, at)
      protocol.demand("message")
      protocol.receive(chunk, at)
      assert.strictEqual(endingOf(protocol), "1009 MessageTooBig")
    })

    it("a streamed message has its own limit", () => {
      const { protocol, transform } = setup({ maxMessageSize: 1000, maxStreamedMessageSize: MiB })
      protocol.demand("fragments")
      const chunk = zeros(2 ** 32 - 1)
      let at = protocol.receive(chunk)
      while (protocol.stopped !== undefined) {
        protocol.fragments!.take()
        at = protocol.receive(chunk, at)
      }
      assert.strictEqual(endingOf(protocol), "1009 MessageTooBig")
      assert.isAtMost(transform.decoded, MiB + 64 * KiB)
    })

    it("what goes in may be a little more than the limit, as of bytes that cannot be compressed, but not much", () => {
      // A 256th, and 1 KiB.
      const most = 10_000 + 39 + 1024
      for (const [size, rsv2, ending] of [[most, true, "none"], [most + 1, true, "1009 MessageTooBig"], [10_001, false, "1009 MessageTooBig"]] as const) {
        const { protocol } = setup({ maxMessageSize: 10_000 })
        protocol.demand("message")
        protocol.receive(frame(Opcode.Binary, new Uint8Array(size), { rsv2, fin: false }).subarray(0, 8))
        assert.strictEqual(endingOf(protocol), ending, `${size}`)
      }
      const { protocol } = setup({ maxMessageSize: 10_000 })
      protocol.demand("message")
      readAll(protocol, frame(Opcode.Binary, concat(Array.from({ length: 2200 }, () => run(1, 7))), { rsv2: true }), () => {})
      assert.deepStrictEqual([protocol.takeMessages().map((one) => one.length), endingOf(protocol)], [[2200], "none"])
    })

    for (const demand of ["none", "fragments"] as const) {
      it(`nothing beyond the mark is decoded while nobody takes (${demand})`, () => {
        const { protocol, transform } = setup({ inboundHighWaterMark: 64 * KiB }, { stepSize: 16 * KiB })
        protocol.demand(demand)
        const chunk = zeros(100 * MiB)
        const at = protocol.receive(chunk)
        assert.strictEqual(protocol.stopped, "full")
        protocol.receive(chunk, at)
        protocol.receive(chunk, at)
        assert.strictEqual(protocol.stopped, "full")
        assert.isAtMost(transform.decoded, 64 * KiB + 16 * KiB)
      })
    }

    it("nor is the next message, whole ones included", () => {
      const { protocol, transform } = setup({ inboundHighWaterMark: 64 * KiB })
      const chunk = concat([zeros(40 * KiB), zeros(24 * KiB - 128), zeros(1), frame(Opcode.Text, "plain")])
      const at = protocol.receive(chunk)
      assert.strictEqual(protocol.stopped, "full")
      assert.strictEqual(transform.decoded, 64 * KiB - 128)
      assert.strictEqual(protocol.takeMessages().length, 2)
      protocol.receive(chunk, at)
      assert.strictEqual(protocol.takeMessages().length, 2)
    })

    it("nor with a reader that waits for one of them", () => {
      const { protocol, transform } = setup({ inboundHighWaterMark: 64 * KiB })
      protocol.demand("message")
      protocol.receive(concat(Array.from({ length: 5 }, () => zeros(40 * KiB))))
      assert.strictEqual(protocol.stopped, "full")
      assert.strictEqual(transform.decoded, 80 * KiB)
    })

    it("a mark of 0 lets one message through after the other", () => {
      const { protocol } = setup({ inboundHighWaterMark: 0 })
      const chunk = concat([zeros(10), frame(Opcode.Text, "plain"), zeros(20)])
      let at = 0
      const got: Array<number> = []
      while (at < chunk.length) {
        protocol.demand("message")
        const before = at
        at = protocol.receive(chunk, at)
        assert.isAbove(at, before)
        got.push(...protocol.takeMessages().map((one) => one.length))
      }
      assert.deepStrictEqual(got, [10, 5, 20])
    })
  })

  describe("what is wrong", () => {
    it("an extension's failure is 1007, behind the messages before it", () => {
      const { protocol } = setup()
      protocol.receive(concat([zeros(3), frame(Opcode.Binary, run(0, 0), { rsv2: true }), zeros(4)]))
      assert.strictEqual(endingOf(protocol), "1007 ExtensionData")
      assert.strictEqual(protocol.takeMessages().length, 1)
    })

    it("a message that ends too early", () => {
      const { protocol } = setup()
      protocol.receive(frame(Opcode.Binary, run(1, 0).subarray(1), { rsv2: true }))
      assert.strictEqual(endingOf(protocol), "1007 ExtensionData")
    })

    it("text that is not UTF-8, at the step that shows it", () => {
      const { protocol, transform } = setup({}, { stepSize: 1024 })
      protocol.receive(frame(Opcode.Text, run(100 * KiB, 0xff), { rsv2: true }))
      assert.strictEqual(endingOf(protocol), "1007 InvalidUtf8")
      assert.strictEqual(transform.steps, 1)
    })

    it("text that ends inside a code point", () => {
      const { protocol } = setup()
      protocol.receive(frame(Opcode.Text, run(1, 0xc3), { rsv2: true }))
      assert.strictEqual(endingOf(protocol), "1007 InvalidUtf8")
    })

    for (const where of ["begin", "push", "next"] as const) {
      it(`what a decoder throws in ${where} is no exception of \`receive\``, () => {
        const { decoder, ...transform } = RunLength.open()
        const protocol = Protocol.make({
          role: "server",
          transform: {
            ...transform,
            decoder: {
              ...decoder,
              [where]: () => {
                throw new Error("a bug")
              }
            }
          }
        })
        protocol.receive(concat([frame(Opcode.Text, "before"), zeros(3), frame(Opcode.Text, "behind")]))
        assert.strictEqual(endingOf(protocol), "1007 ExtensionData")
        assert.deepStrictEqual(protocol.takeMessages(), ["before"])
      })
    }
  })

  it("what our Close finds half decoded is dropped, and the peer's Close read", () => {
    for (const demand of ["none", "fragments"] as const) {
      const { protocol, transform } = setup({ maxMessageSize: 2 * MiB })
      protocol.demand(demand)
      const chunk = concat([
        frame(Opcode.Binary, run(MiB, 1), { fin: false, rsv2: true }),
        frame(Opcode.Continuation, run(MiB, 1)),
        zeros(MiB),
        frame(Opcode.Close, closeBody(1000))
      ])
      const at = protocol.receive(chunk)
      assert.isDefined(protocol.stopped)
      const before = transform.decoded
      protocol.close(1000)
      assert.strictEqual(protocol.receive(chunk, at), chunk.length)
      assert.strictEqual(transform.decoded, before)
      assert.strictEqual(endingOf(protocol), "1000")
    }
  })
})
