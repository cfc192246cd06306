import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Message from "../src/Message.ts"
import * as Opcode from "../src/Opcode.ts"
import { portable } from "../src/Primitives.ts"
import * as Protocol from "../src/Protocol.ts"
import { countAllocations } from "./support/Allocations.ts"
import { closeBody, concat, frame, framesOf } from "./support/FakeTransport.ts"
import { bytesOf, chop, chunking, plan } from "./support/Sequences.ts"

const roles = ["client", "server"] as const
type Role = typeof roles[number]

// What stands in a machine's output.
const output = (machine: Protocol.Protocol) => {
  const bytes = concat(machine.takeOutput())
  machine.outputTaken()
  return framesOf(bytes, machine.role === "client" ? "required" : "forbidden")
}

const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)
const utf8 = (text: string) => new TextEncoder().encode(text)

const rule = (machine: Protocol.Protocol): readonly [string, number] | undefined => {
  const ending = machine.ending
  return ending?._tag === "Violation" ? [ending.error.rule, ending.error.code] : undefined
}

const run = (role: Role, chunks: ReadonlyArray<Uint8Array>, options: Partial<Protocol.Options> = {}) => {
  const pings: Array<Uint8Array> = []
  const pongs: Array<Uint8Array> = []
  const machine = Protocol.make({
    role,
    onPing: (payload) => pings.push(payload),
    onPong: (payload) => pongs.push(payload),
    ...options
  })
  for (const given of chunks) {
    const chunk = new Uint8Array(given)
    machine.demand("message")
    assert.strictEqual(machine.receive(chunk), chunk.length)
    // As its owner may do with it.
    if (options.chunks === "borrowed") assert.deepStrictEqual(chunk, new Uint8Array(given))
    if (options.chunks !== "owned") chunk.fill(0xee)
  }
  const ending = machine.ending
  return {
    machine,
    seen: {
      messages: machine.takeMessages(),
      pings,
      pongs,
      ending: ending?._tag === "Close" ? { code: ending.code, reason: ending.reason } : undefined
    }
  }
}

describe("Protocol", () => {
  for (const role of roles) {
    // Frames as the peer of `role` sends them.
    const masked = role === "server"
    const from = (opcode: Opcode.Opcode, data: Uint8Array | string, fin = true) => frame(opcode, data, { masked, fin })
    const make = (options: Partial<Protocol.Options> = {}) => Protocol.make({ role, ...options })
    const M = masked ? 0x80 : 0
    const key = masked ? [0, 0, 0, 0] : []
    const fed = (options: Partial<Protocol.Options>, ...parts: ReadonlyArray<Uint8Array>) => {
      const machine = make(options)
      machine.demand("message")
      for (const part of parts) machine.receive(new Uint8Array(part))
      return machine
    }

    describe(`as a ${role}`, () => {
      const maskRule = masked ? "MaskMissing" : "MaskUnexpected"
      const refused: ReadonlyArray<readonly [string, ReadonlyArray<Uint8Array>, string, number]> = [
        ["RSV1", [bytes(0xc1, M, ...key)], "ReservedBit", 1002],
        ["RSV2", [bytes(0xa1, M, ...key)], "ReservedBit", 1002],
        ["RSV3", [bytes(0x91, M, ...key)], "ReservedBit", 1002],
        ["RSV1 on a Ping", [bytes(0xc9, M, ...key)], "ReservedBit", 1002],
        ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
          [`opcode ${opcode}`, [bytes(0x80 | opcode, M, ...key)], "ReservedOpcode", 1002] as const
        ),
        ["the wrong mask bit", [frame(Opcode.Text, "x", { masked: !masked })], maskRule, 1002],
        ["the wrong mask bit on a Ping", [frame(Opcode.Ping, "", { masked: !masked })], maskRule, 1002],
        ["16 bits for 125", [bytes(0x82, M | 126, 0, 125, ...key)], "LengthNotMinimal", 1002],
        // The whole frame, and another: what is read at once is judged like what comes in parts.
        [
          "16 bits for 125, in a whole frame",
          [concat([bytes(0x82, M | 126, 0, 125, ...key, ...new Uint8Array(125)), from(Opcode.Text, "x")])],
          "LengthNotMinimal",
          1002
        ],
        [
          "64 bits for 200, in a whole frame",
          [bytes(0x82, M | 127, 0, 0, 0, 0, 0, 0, 0, 200, ...key, ...new Uint8Array(200))],
          "LengthNotMinimal",
          1002
        ],
        ["the wrong mask bit behind a good frame", [
          concat([from(Opcode.Text, "x"), frame(Opcode.Binary, bytes(1, 2, 3), { masked: !masked })])
        ], maskRule, 1002],
        ["RSV1 behind a good frame", [
          concat([from(Opcode.Text, "x"), bytes(0xc2, M | 1, ...key, 1)])
        ], "ReservedBit", 1002],
        ["64 bits for 65535", [bytes(0x82, M | 127, 0, 0, 0, 0, 0, 0, 255, 255, ...key)], "LengthNotMinimal", 1002],
        [
          "the highest bit of the length",
          [bytes(0x82, M | 127, 0x80, 0, 0, 0, 0, 1, 0, 0, ...key)],
          "LengthHighBit",
          1002
        ],
        ["a fragmented Ping", [bytes(0x09, M, ...key)], "ControlFragmented", 1002],
        ["a fragmented Pong", [bytes(0x0a, M, ...key)], "ControlFragmented", 1002],
        ["a fragmented Close", [bytes(0x08, M, ...key)], "ControlFragmented", 1002],
        ["a Ping of 126 bytes", [bytes(0x89, M | 126, 0, 126, ...key)], "ControlTooLong", 1002],
        ["a Close of 126 bytes", [bytes(0x88, M | 126, 0, 126, ...key)], "ControlTooLong", 1002],
        ["a continuation of nothing", [from(Opcode.Continuation, "x")], "ContinuationUnexpected", 1002],
        [
          "a continuation behind a whole message",
          [from(Opcode.Text, "x"), from(Opcode.Continuation, "x")],
          "ContinuationUnexpected",
          1002
        ],
        [
          "a text inside a message",
          [from(Opcode.Text, "x", false), from(Opcode.Text, "x")],
          "ContinuationExpected",
          1002
        ],
        [
          "a binary inside a message",
          [from(Opcode.Text, "x", false), from(Opcode.Binary, "x", false)],
          "ContinuationExpected",
          1002
        ],
        ["a Close of one byte", [from(Opcode.Close, bytes(3))], "CloseTooShort", 1002],
        ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code) =>
          [`a Close with ${code}`, [from(Opcode.Close, closeBody(code))], "CloseCodeInvalid", 1002] as const
        ),
        ["a Close whose reason is not UTF-8", [from(Opcode.Close, bytes(3, 232, 0xc3))], "CloseReasonInvalid", 1007],
        ["text that is not UTF-8", [from(Opcode.Text, bytes(0x68, 0xff))], "InvalidUtf8", 1007],
        ["text that ends inside a character", [from(Opcode.Text, bytes(0xe2, 0x82))], "InvalidUtf8", 1007],
        ["an overlong form", [from(Opcode.Text, bytes(0xc0, 0xaf))], "InvalidUtf8", 1007],
        ["a surrogate", [from(Opcode.Text, bytes(0xed, 0xa0, 0x80))], "InvalidUtf8", 1007],
        ["above U+10FFFF", [from(Opcode.Text, bytes(0xf4, 0x90, 0x80, 0x80))], "InvalidUtf8", 1007],
        [
          "fragmented text that ends inside a character",
          [from(Opcode.Text, bytes(0xe2), false), from(Opcode.Continuation, bytes(0x82))],
          "InvalidUtf8",
          1007
        ]
      ]
      for (const [what, parts, name, code] of refused) {
        it(`refuses ${what}`, () => {
          const hello = from(Opcode.Text, "before")
          for (const sizes of [[1], [Infinity]]) {
            const machine = fed({}, hello, ...chop(concat(parts), sizes), from(Opcode.Text, "behind"))
            assert.deepStrictEqual(rule(machine), [name, code])
            // Only what came before it counts.
            assert.strictEqual(machine.takeMessages()[0], "before")
            machine.receive(from(Opcode.Ping, "behind"))
            machine.settle()
            const [close, ...others] = output(machine)
            assert.strictEqual(close.opcode, Opcode.Close)
            assert.deepStrictEqual(close.data.subarray(0, 2), closeBody(code))
            assert.deepStrictEqual(others, [])
            assert.isFalse(machine.closeInfo.clean)
            assert.strictEqual(machine.closeInfo.code, code)
          }
        })
      }

      it("accepts what borders on what is refused", () => {
        const accepted: ReadonlyArray<ReadonlyArray<Uint8Array>> = [
          [from(Opcode.Text, "")],
          [from(Opcode.Binary, new Uint8Array(125))],
          [from(Opcode.Binary, new Uint8Array(126))],
          [from(Opcode.Binary, new Uint8Array(65535))],
          [from(Opcode.Binary, new Uint8Array(65536))],
          [from(Opcode.Ping, new Uint8Array(125))],
          [from(Opcode.Pong, new Uint8Array(125)), from(Opcode.Pong, "")],
          [from(Opcode.Text, "", false), from(Opcode.Continuation, "", false), from(Opcode.Continuation, "")],
          [
            from(Opcode.Text, "a", false),
            from(Opcode.Ping, "p"),
            from(Opcode.Pong, "p"),
            from(Opcode.Continuation, "b")
          ],
          [from(Opcode.Text, bytes(0xe2), false), from(Opcode.Continuation, bytes(0x82, 0xac))],
          [from(Opcode.Text, utf8("\uFEFF\uFFFD\u{10FFFF}"))],
          [from(Opcode.Text, "\uFFFD")]
        ]
        for (const parts of accepted) assert.isUndefined(fed({}, ...parts).ending)
        const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
        for (const code of codes) {
          const reason = "r".repeat(123)
          const machine = fed({}, from(Opcode.Close, closeBody(code, reason)))
          assert.deepStrictEqual(machine.ending, { _tag: "Close", code, reason })
        }
        assert.deepStrictEqual(fed({}, from(Opcode.Close, "")).ending, { _tag: "Close", code: 1005, reason: "" })
      })

      it("keeps a byte order mark", () => {
        const text = "\uFEFFbom"
        assert.deepStrictEqual(fed({}, from(Opcode.Text, text)).takeMessages(), [text])
        const parts = [
          from(Opcode.Text, utf8(text).subarray(0, 1), false),
          from(Opcode.Continuation, utf8(text).subarray(1))
        ]
        assert.deepStrictEqual(fed({}, ...parts).takeMessages(), [text])
      })

      it("fails at the first byte that no text can have, inside a frame", () => {
        const whole = from(Opcode.Text, concat([utf8("good"), bytes(0xf4, 0x90), new Uint8Array(100)]))
        const upTo = whole.length - 100
        assert.isUndefined(fed({}, whole.subarray(0, upTo - 1)).ending)
        assert.deepStrictEqual(rule(fed({}, whole.subarray(0, upTo))), ["InvalidUtf8", 1007])
        assert.deepStrictEqual(rule(fed({}, ...chop(whole.subarray(0, upTo), [1]))), ["InvalidUtf8", 1007])
        // and inside a message
        assert.deepStrictEqual(rule(fed({}, from(Opcode.Text, bytes(0x80), false))), ["InvalidUtf8", 1007])
      })

      it("refuses a declared length over the limit before anything is allocated", () => {
        const sizes: Array<number> = []
        const primitives = {
          ...portable,
          allocate: (size: number) => {
            sizes.push(size)
            return portable.allocate(size)
          }
        }
        const limits = { maxMessageSize: 1000 }
        const header = (size: number) => from(Opcode.Binary, new Uint8Array(size)).subarray(0, -size)
        const tooBig = ["MessageTooBig", 1009] as const
        assert.deepStrictEqual(rule(fed({ limits, primitives }, header(1001))), tooBig)
        assert.deepStrictEqual(rule(fed({ limits, primitives }, ...chop(header(1001), [1]))), tooBig)
        assert.isUndefined(fed({ limits, primitives }, header(1000)).ending)
        for (
          const length of [
            [0, 0, 0, 1, 0, 0, 0, 0],
            [0, 0x20, 0, 0, 0, 0, 0, 0],
            [0x7f, 255, 255, 255, 255, 255, 255, 255]
          ]
        ) {
          const huge = bytes(0x82, M | 127, ...length, ...key)
          assert.deepStrictEqual(rule(fed({ primitives }, huge)), tooBig)
          // Nobody has memory for that, whatever the limit says.
          assert.deepStrictEqual(rule(fed({ limits: { maxMessageSize: Infinity }, primitives }, huge)), tooBig)
          const behind = [from(Opcode.Binary, "x", false), bytes(0x80, M | 127, ...length, ...key)]
          assert.deepStrictEqual(rule(fed({ limits: { fragments: { charge: 0 } }, primitives }, ...behind)), tooBig)
        }
        assert.isBelow(Math.max(0, ...sizes), 1001)
      })

      it("charges fragments, and counts them", () => {
        const limits = { maxMessageSize: 1000, fragments: { charge: 100, max: 8 } }
        const empty = from(Opcode.Continuation, "", false)
        const first = (size: number) => from(Opcode.Binary, new Uint8Array(size), false)
        // One that carries at least the charge costs its payload, and so does the last.
        assert.isUndefined(fed({ limits }, first(1000), from(Opcode.Continuation, "")).ending)
        assert.deepStrictEqual(rule(fed({ limits }, first(1001))), ["MessageTooBig", 1009])
        assert.isUndefined(fed({ limits }, first(800), empty, empty).ending)
        assert.deepStrictEqual(rule(fed({ limits }, first(800), empty, empty, empty)), ["MessageTooBig", 1009])
        assert.deepStrictEqual(rule(fed({ limits }, first(901), empty)), ["MessageTooBig", 1009])
        assert.isUndefined(fed({ limits }, first(0), ...Array(7).fill(empty)).ending)
        assert.deepStrictEqual(rule(fed({ limits }, first(0), ...Array(8).fill(empty))), ["TooManyFragments", 1009])
        // A message in one frame costs its payload, and each message counts for itself.
        const whole = from(Opcode.Binary, new Uint8Array(1000))
        assert.strictEqual(fed({ limits }, whole, whole).takeMessages().length, 2)
      })

      it("leaves a message above the limit undecided until somebody asks", () => {
        const limits = { maxMessageSize: 10 }
        const big = from(Opcode.Text, "x".repeat(11))
        const given = concat([from(Opcode.Text, "small"), big, from(Opcode.Text, "next")])
        const machine = make({ limits })
        // A reader that waits gets the small one first, and may ask for the big one in pieces then.
        machine.demand("message")
        const at = machine.receive(given)
        assert.strictEqual(machine.stopped, "undecided")
        assert.isUndefined(machine.ending)
        assert.deepStrictEqual(machine.takeMessages(), ["small"])
        machine.demand("fragments")
        assert.strictEqual(machine.receive(given, at), given.length)
        assert.deepStrictEqual(machine.fragments!.take(), ["x".repeat(11)])
        assert.isTrue(machine.fragments!.done)
        assert.deepStrictEqual(machine.takeMessages(), ["next"])

        const refusing = make({ limits })
        refusing.receive(big)
        assert.strictEqual(refusing.stopped, "undecided")
        refusing.demand("message")
        refusing.receive(new Uint8Array(0))
        assert.deepStrictEqual(rule(refusing), ["MessageTooBig", 1009])
      })

      it("streams within a limit of its own", () => {
        const limits = { maxMessageSize: 10, maxStreamedMessageSize: 300, fragments: { charge: 64 } }
        const machine = make({ limits })
        machine.demand("fragments")
        machine.receive(from(Opcode.Binary, new Uint8Array(100), false))
        machine.receive(from(Opcode.Continuation, new Uint8Array(72), false))
        machine.receive(from(Opcode.Continuation, "", false))
        machine.receive(from(Opcode.Continuation, "", false))
        assert.isUndefined(machine.ending)
        machine.receive(from(Opcode.Continuation, "", false))
        assert.deepStrictEqual(rule(machine), ["MessageTooBig", 1009])
      })

      it("answers a Ping with its payload, between the frames that wait", () => {
        const machine = make()
        machine.sendFragment("text", "first", false)
        machine.receive(concat([from(Opcode.Ping, "a"), from(Opcode.Ping, ""), from(Opcode.Ping, new Uint8Array(125))]))
        machine.receive(from(Opcode.Pong, "unsolicited"))
        const frames = output(machine)
        assert.deepStrictEqual(frames.map((frame) => [frame.opcode, frame.data.length]), [
          [Opcode.Pong, 1],
          [Opcode.Pong, 0],
          [Opcode.Pong, 125],
          [Opcode.Text, 5]
        ])
      })

      it("answers only the latest Ping while the output is blocked", () => {
        const machine = make()
        machine.send("waits")
        machine.outbound.blocked = true
        for (let i = 0; i < 1000; i++) machine.receive(from(Opcode.Ping, bytes(i >> 8, i)))
        assert.isBelow(machine.outputBytes, 100)
        const frames = output(machine)
        assert.deepStrictEqual(frames.map((frame) => [frame.opcode, [...frame.data]]), [
          [Opcode.Pong, [3, 231]],
          [Opcode.Text, [...utf8("waits")]]
        ])
        assert.strictEqual(machine.outputBytes, 0)
      })

      it("bounds the Pongs that wait though the output is not blocked", () => {
        const machine = make()
        for (let i = 0; i < 10_000; i++) machine.receive(from(Opcode.Ping, new Uint8Array(125)))
        assert.isBelow(machine.outputBytes, 128 * 140)
        assert.strictEqual(output(machine).length, 128)
      })

      it("sends nothing behind its Close", () => {
        const machine = make()
        machine.receive(from(Opcode.Ping, "before"))
        machine.close(1000, "bye")
        machine.close(1001, "again")
        machine.receive(from(Opcode.Ping, "behind"))
        machine.send("behind")
        machine.sendFragment("binary", bytes(1), true)
        machine.ping(bytes(1))
        machine.pong(bytes(1))
        assert.isFalse(machine.isOpen)
        const frames = output(machine)
        assert.deepStrictEqual(frames.map((frame) => frame.opcode), [Opcode.Pong, Opcode.Close])
        assert.deepStrictEqual(frames[1].data, closeBody(1000, "bye"))
      })

      it("appends a run of messages up to a mark, and leaves those that take more than a copy", () => {
        const machine = Protocol.make({ role })
        const run = ["a", bytes(1, 2), "", new Uint8Array(0), "é"]
        assert.strictEqual(machine.outbound.sendRun(run, 0, Infinity), 5)
        assert.strictEqual(machine.outbound.sentMessages, 5)
        assert.deepStrictEqual(output(machine).map(({ data, opcode }) => [opcode, ...data]), [
          [Opcode.Text, 97],
          [Opcode.Binary, 1, 2],
          [Opcode.Text],
          [Opcode.Binary],
          [Opcode.Text, 0xc3, 0xa9]
        ])
        // From where it is told, and while less than the mark waits.
        const header = role === "client" ? 6 : 2
        assert.strictEqual(machine.outbound.sendRun(["a", "bc", "d", "e"], 1, 2 * header + 3), 3)
        assert.deepStrictEqual(output(machine).map(({ data }) => data.length), [2, 1])
        assert.strictEqual(machine.outbound.sendRun(["a"], 0, 0), 0)
        assert.strictEqual(machine.outbound.sendRun([], 0, Infinity), 0)
        const large = new Uint8Array(100_000)
        assert.strictEqual(machine.outbound.sendRun(["a", large, "b"], 0, Infinity), role === "client" ? 3 : 1)
        // A client masks a prepared message anew.
        const prepared = [Message.prepare("a"), Message.prepare(large)]
        assert.strictEqual(machine.outbound.sendRun(["a", ...prepared, "b"], 0, Infinity), role === "client" ? 1 : 4)
        // No bytes, whatever its type says: `send` tells what is wrong with it.
        for (const wrong of [5, { length: 3 }, new Uint16Array(2), undefined]) {
          assert.strictEqual(machine.outbound.sendRun([wrong as unknown as string], 0, Infinity), 0)
        }
        output(machine)
        machine.close(1000)
        assert.strictEqual(machine.outbound.sendRun(["a"], 0, Infinity), 0)
        assert.strictEqual(output(machine).length, 1)
      })

      it("reads and drops behind its own Close, up to the peer's", () => {
        for (const sizes of [[1], [Infinity]]) {
          const machine = make({ limits: { maxMessageSize: 100 } })
          machine.receive(from(Opcode.Text, bytes(0xe2), false))
          machine.close(1000)
          const rest = concat([
            from(Opcode.Continuation, bytes(0xff)),
            from(Opcode.Binary, new Uint8Array(70_000)),
            from(Opcode.Text, bytes(0xff)),
            from(Opcode.Close, closeBody(1000))
          ])
          for (const chunk of chop(rest, sizes)) assert.strictEqual(machine.receive(chunk), chunk.length)
          assert.deepStrictEqual(machine.takeMessages(), [])
          assert.strictEqual(machine.inbound.queuedBytes, 0)
          assert.deepStrictEqual(machine.ending, { _tag: "Close", code: 1000, reason: "" })
          assert.isTrue(machine.closeInfo.clean)
          assert.strictEqual(machine.closeInfo.initiator, "local")
        }
      })

      it("reads nothing behind the peer's Close", () => {
        const seen: Array<string> = []
        const machine = fed(
          { onPing: () => seen.push("ping") },
          concat([from(Opcode.Close, closeBody(1001, "away")), from(Opcode.Ping, "x"), from(Opcode.Text, "x")]),
          from(Opcode.Close, closeBody(1002)),
          bytes(0xff, 0xff)
        )
        assert.deepStrictEqual([...seen, ...machine.takeMessages()], [])
        assert.deepStrictEqual(machine.ending, { _tag: "Close", code: 1001, reason: "away" })
        machine.settle()
        machine.settle()
        const frames = output(machine)
        assert.deepStrictEqual(frames.map((frame) => [...frame.data]), [[...closeBody(1001)]])
        assert.deepInclude(machine.closeInfo, { code: 1001, reason: "away", initiator: "remote", clean: true })
      })

      it("answers an empty Close with an empty one", () => {
        const machine = fed({}, from(Opcode.Close, ""))
        machine.settle()
        assert.deepStrictEqual(output(machine).map((frame) => frame.data.length), [0])
        assert.deepInclude(machine.closeInfo, { code: 1005, initiator: "remote", clean: true })
      })

      it.prop("gives what a peer sent, whatever the chunks and whoever owns them", { plan, chunking }, (given) => {
        const { bytes, meaning } = bytesOf(given.plan, masked)
        for (const sizes of bytes.length < 3000 ? [given.chunking, [1], [Infinity]] : [given.chunking, [Infinity]]) {
          for (const chunks of ["borrowed", "scratch", "owned"] as const) {
            const { machine, seen } = run(role, chop(bytes, sizes), { chunks })
            assert.deepStrictEqual(seen, meaning)
            assert.isFalse(machine.isPartial)
            assert.strictEqual(machine.inbound.queuedBytes, 0)
          }
        }
      })

      it.prop("gives the same in pieces", { plan, chunking }, (given) => {
        const { bytes, meaning } = bytesOf(given.plan, masked)
        const torn = meaning.messages.some((message) => typeof message === "string" && message.includes("\uFFFD"))
        for (const chunks of ["borrowed", "scratch", "owned"] as const) {
          const machine = make({ chunks, limits: { maxMessageSize: 0 } })
          const messages: Array<string | Uint8Array> = []
          let parts: Array<string | Uint8Array> = []
          for (const given_ of chop(bytes, given.chunking)) {
            const chunk = new Uint8Array(given_)
            let at = 0
            for (;;) {
              machine.demand("fragments")
              at = machine.receive(chunk, at)
              const fragments = machine.fragments
              if (fragments !== undefined) {
                // Pieces of text are whole characters.
                for (const part of fragments.take()) {
                  if (typeof part === "string" && !torn) assert.notInclude(part, "\uFFFD")
                  parts.push(typeof part === "string" ? part : new Uint8Array(part))
                }
                if (fragments.done) {
                  messages.push(
                    fragments.type === "text" ? parts.join("") : concat(parts as Array<Uint8Array>)
                  )
                  parts = []
                  machine.endFragments()
                }
              }
              // Whole ones that came behind it in the same chunk.
              messages.push(...machine.takeMessages())
              if (machine.stopped !== "undecided") break
            }
            if (chunks !== "owned") chunk.fill(0xee)
          }
          assert.deepStrictEqual(messages, meaning.messages)
        }
      })

      it.prop("is total on random bytes, and chunking changes nothing", {
        parts: Arbitrary.array(Arbitrary.schema(Schema.Uint8Array), { maxLength: 8 }),
        legal: plan,
        chunking
      }, (given) => {
        const read = (noise: Uint8Array, sizes: ReadonlyArray<number>, chunks: "borrowed" | "scratch" | "owned") => {
          const machine = make({ limits: { maxMessageSize: 64, fragments: { charge: 1 } }, chunks })
          const messages: Array<string | Uint8Array> = []
          for (const chunk of chop(noise, sizes)) {
            for (let at = 0;;) {
              machine.demand("message")
              at = machine.receive(chunk, at)
              messages.push(...machine.takeMessages())
              if (machine.stopped !== "undecided") break
            }
          }
          const broken = rule(machine)
          machine.settle()
          output(machine)
          return { messages, broken, ending: machine.ending?._tag }
        }
        for (const noise of [concat(given.parts), concat([bytesOf(given.legal, masked).bytes, ...given.parts])]) {
          const whole = read(noise, [Infinity], "borrowed")
          for (const sizes of [given.chunking, [Infinity]]) {
            for (const chunks of ["borrowed", "scratch", "owned"] as const) {
              assert.deepStrictEqual(read(noise, sizes, chunks), whole)
            }
          }
        }
      })

      it("does linear work for a message of one-byte fragments, byte by byte", () => {
        const { allocated, primitives } = countAllocations()
        let copied = 0
        const size = 65_536
        const parts: Array<Uint8Array> = []
        for (let i = 0; i < size; i++) {
          parts.push(from(i === 0 ? Opcode.Binary : Opcode.Continuation, bytes(i), i === size - 1))
        }
        const all = concat(parts)
        const machine = make({ primitives, limits: { fragments: { charge: 1 } } })
        const { prototype } = Uint8Array
        const realSet = prototype.set
        prototype.set = function(source, offset) {
          copied += source.length
          return realSet.call(this, source, offset)
        }
        try {
          for (let i = 0; i < all.length; i++) machine.receive(all.subarray(i, i + 1))
        } finally {
          prototype.set = realSet
        }
        const [message] = machine.takeMessages()
        assert.deepStrictEqual(message, Uint8Array.from({ length: size }, (_, i) => i))
        assert.isBelow(allocated(), 4 * size)
        assert.isBelow(copied, 4 * size)
      })

      it("hands out messages that are never overwritten and not larger than they are", () => {
        const data = Uint8Array.from({ length: 5000 }, (_, i) => i)
        for (const chunks of ["borrowed", "scratch", "owned"] as const) {
          const machine = make({ chunks })
          const chunk = new Uint8Array(from(Opcode.Binary, data))
          machine.receive(chunk)
          const [message] = machine.takeMessages() as [Uint8Array]
          if (chunks !== "owned") {
            chunk.fill(0)
            assert.strictEqual(message.buffer.byteLength, 5000)
          }
          assert.deepStrictEqual(message, data)
          assert.strictEqual(Object.getPrototypeOf(message), Uint8Array.prototype)
        }
        // A small one does not keep its chunk alive.
        const machine = make({ chunks: "owned" })
        machine.receive(concat([from(Opcode.Binary, bytes(1)), new Uint8Array(from(Opcode.Binary, data))]))
        assert.strictEqual((machine.takeMessages()[0] as Uint8Array).buffer.byteLength, 1)
      })
    })
  }

  it.prop("two machines understand each other", {
    messages: Arbitrary.array(Arbitrary.schema(Schema.Union([Schema.String, Schema.Uint8Array])), { maxLength: 8 }),
    sizes: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30_000 }))), {
      maxLength: 4
    }),
    chunking
  }, (given) => {
    const all = [
      ...given.messages,
      ...given.sizes.map((size) => Uint8Array.from({ length: size }, (_, i) => i)),
      ...given.sizes.map((size) => "aß€".repeat(size / 3))
    ]
    for (const [role, other] of [["client", "server"], ["server", "client"]] as const) {
      const a = Protocol.make({ role })
      const b = Protocol.make({ role: other })
      for (const message of all) a.send(message)
      const before = a.outputBytes
      const wire = concat(a.takeOutput())
      assert.strictEqual(before, wire.length)
      for (const chunk of chop(wire, given.chunking)) b.receive(chunk)
      assert.deepStrictEqual(
        b.takeMessages(),
        all.map((message) => typeof message === "string" ? message.toWellFormed() : message)
      )
      assert.isUndefined(b.ending)
    }
  })

  it("masks every frame with another key, and does not change what it is given", () => {
    const machine = Protocol.make({ role: "client" })
    const payload = new Uint8Array(64)
    const large = new Uint8Array(20_000)
    for (let i = 0; i < 500; i++) machine.send(payload)
    machine.send(large)
    const wire = concat(machine.takeOutput())
    const keys = new Set<number>()
    for (let i = 0; i < 500; i++) keys.add(new DataView(wire.buffer).getUint32(i * 70 + 2))
    assert.isAbove(keys.size, 495)
    assert.isTrue(payload.every((byte) => byte === 0) && large.every((byte) => byte === 0))
  })

  it("sends lone surrogates as U+FFFD", () => {
    for (const role of roles) {
      const machine = Protocol.make({ role })
      machine.send("a\ud800b")
      machine.send("\udc00".repeat(10_000))
      const [small, large] = output(machine)
      assert.deepStrictEqual(small.data, utf8("a\uFFFDb"))
      assert.deepStrictEqual(large.data, utf8("\uFFFD".repeat(10_000)))
    }
  })

  it("tells how far the input got", () => {
    const machine = Protocol.make({ role: "client" })
    assert.deepStrictEqual([machine.isPartial, machine.inbound.isInsideFrame], [false, false])
    machine.receive(bytes(0x01))
    assert.deepStrictEqual([machine.isPartial, machine.inbound.isInsideFrame], [true, true])
    machine.receive(bytes(0x01, 0x61))
    assert.deepStrictEqual([machine.isPartial, machine.inbound.isInsideFrame], [true, false])
    machine.receive(bytes(0x80, 0x00))
    assert.deepStrictEqual([machine.isPartial, machine.inbound.isInsideFrame], [false, false])
  })

  describe("says what to do with the transport", () => {
    const exchange = (from: Protocol.Protocol, to: Protocol.Protocol) => {
      for (const chunk of from.takeOutput()) to.receive(chunk)
      from.outputTaken()
    }

    it("the server ends first once both have closed, and each drops the transport when the other has ended", () => {
      for (const first of ["client", "server"] as const) {
        const client = Protocol.make({ role: "client" })
        const server = Protocol.make({ role: "server" })
        const [closer, other] = first === "client" ? [client, server] : [server, client]
        closer.close(1000, "bye")
        assert.strictEqual(closer.nextStep(), "nothing", "the Close is not written yet")
        exchange(closer, other)
        assert.strictEqual(closer.nextStep(), "nothing", "it is not answered")
        assert.strictEqual(other.nextStep(), "nothing", "the reader has not come to it")
        other.settle()
        exchange(other, closer)
        assert.strictEqual(client.nextStep(), "nothing")
        assert.strictEqual(server.nextStep(), "end")
        assert.strictEqual(server.nextStep(), "nothing", "is said once")
        client.receiveEnd()
        assert.strictEqual(client.nextStep(), "destroy")
        server.receiveEnd()
        assert.strictEqual(server.nextStep(), "destroy")
        assert.isTrue(client.closeInfo.clean && server.closeInfo.clean)
      }
    })

    it("a client ends first where the server broke a rule", () => {
      const client = Protocol.make({ role: "client" })
      client.receive(Uint8Array.of(0x83, 0))
      client.settle()
      client.takeOutput()
      assert.strictEqual(client.nextStep(), "end")
    })

    it("a peer that ends without a Close leaves nothing to wait for", () => {
      const server = Protocol.make({ role: "server" })
      assert.strictEqual(server.nextStep(), "nothing")
      server.receiveEnd()
      assert.strictEqual(server.nextStep(), "destroy")
    })
  })
})
