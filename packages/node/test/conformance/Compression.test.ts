/** The suite's compression itself: its inflater, its judgement of answers, and that each kind of wrong subject fails. */
import { assert, describe, it, vi } from "@effect/vitest"
import { constants, deflateRawSync, type ZlibOptions } from "node:zlib"
import { carelessDeflateServer, type DeflateFlaw } from "./carelessDeflate.ts"
import { corpora } from "../../src/conformance/cases/Corpora.ts"
import { compressionCases, compressionGroups } from "../../src/conformance/cases/Cases.ts"
import type { Case } from "../../src/conformance/cases/Case.ts"
import { Deflater } from "../../src/conformance/wire/Deflater.ts"
import { type Half, Inflater } from "../../src/conformance/wire/Inflater.ts"
import { chooseAnswer, format, judgeAnswer, type Parameters, parse } from "../../src/conformance/wire/Parameters.ts"
import { isFull, type Result, runAll, runClientCase, runServerCase } from "../../src/conformance/Runner.ts"
import { type Event, FrameReader } from "../../src/conformance/wire/Frames.ts"
import { wsClient, wsServer } from "./wsSubject.ts"

vi.setConfig({ testTimeout: 60_000 })

const whole: Half = { windowBits: 15, noContextTakeover: false }
const alone: Half = { windowBits: 15, noContextTakeover: true }
const hex = (digits: string) => Buffer.from(digits, "hex")
const ids = (items: ReadonlyArray<Case>) => items.map((item) => item.id)
const red = (items: ReadonlyArray<Case>, results: ReadonlyMap<string, Result>) =>
  ids(items.filter((item) => !isFull(item, results.get(item.id)!)))
const pick = (...wanted: ReadonlyArray<string>) => compressionCases.filter((item) => wanted.includes(item.id))

/** Of the eighteen sizes 256, 4096 and 8192 in fragments; all that is not about sizes. */
const some = compressionCases.filter((item) =>
  (item.id.startsWith("D.") && item.heavy !== true) || /^1[23]\.\d\.(3|5|11)$/.test(item.id)
)

describe("inflater", () => {
  const packed = (data: Uint8Array, options: ZlibOptions = {}) =>
    deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, ...options }).subarray(0, -4)

  it.each(corpora.map((corpus) => [corpus.name, corpus] as const))("undoes zlib on %s", (_, corpus) => {
    const { Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE } = constants
    const ways: ReadonlyArray<ZlibOptions> = [
      { level: 0 },
      { level: 1 },
      { level: 9, memLevel: 1 },
      { strategy: Z_FIXED },
      { strategy: Z_HUFFMAN_ONLY },
      { strategy: Z_RLE }
    ]
    for (const way of ways) {
      const inflater = new Inflater(alone)
      for (const length of [0, 1, 100, 70_000, 3]) {
        const data = corpus.message(3, length)
        assert.isTrue(inflater.message(packed(data, way)).equals(data))
      }
    }
  })

  it.each<[Half]>([[whole], [alone], [{ ...whole, windowBits: 9 }], [{ ...alone, windowBits: 8 }]])(
    "keeps in step with the deflater: %o",
    (half) => {
      const deflater = new Deflater(half)
      const inflater = new Inflater(half)
      for (let index = 0; index < 200; index++) {
        const data = corpora[index % 2]!.message(index, (index * 37) % 1500)
        assert.isTrue(inflater.message(deflater.message(data)).equals(data))
      }
    }
  )

  it("refuses what reaches beyond the window, even inside one message", () => {
    const part = corpora[1]!.message(20, 600)
    const data = Buffer.concat([part, part])
    assert.isTrue(new Inflater({ ...whole, windowBits: 10 }).message(packed(data)).equals(data))
    assert.throws(() => new Inflater({ ...whole, windowBits: 9 }).message(packed(data)), "in a window of 512")
  })

  it("refuses what refers to an earlier message without context takeover", () => {
    const deflater = new Deflater(whole)
    const messages = [1, 2].map(() => deflater.message(Buffer.from("Hello, Hello, World")))
    const inflater = new Inflater(alone)
    inflater.message(messages[0]!)
    assert.throws(() => inflater.message(messages[1]!), "octets known")
  })

  it.each([
    ["a distance of 1 with 0 octets known", "0203"],
    ["a block of the reserved type", "06"],
    ["a stored block with a wrong length", "000500000048656c6c6f00"],
    ["it ends inside a block", "000500faff48656c6c"],
    ["it ends inside a block", "f248cdc9c907000000ffff"],
    ["more codes than fit", "04" + "499224".repeat(10)],
    ["a code that is not in use", "04" + "ff".repeat(40)]
  ])("refuses: %s", (why, digits) => {
    assert.throws(() => new Inflater(whole).message(hex(digits)), why)
  })

  it("refuses every prefix of a message but those that end between blocks", () => {
    const data = corpora[3]!.message(0, 3000)
    const octets = packed(data)
    for (let length = 0; length < octets.length; length++) {
      assert.throws(() => new Inflater(whole).message(octets.subarray(0, length)))
    }
  })
})

describe("wire with compression", () => {
  const read = (digits: string, half: Half = whole) => {
    const events: Array<Event> = []
    const faults: Array<string> = []
    const inflater = new Inflater(half)
    const reader = new FrameReader(false, (event) => events.push(event), (fault) => faults.push(fault), inflater)
    for (const octet of hex(digits)) reader.push(Buffer.of(octet))
    return { events, faults }
  }

  it("reads the examples of RFC 7692", () => {
    const hello: Event = { _tag: "Message", binary: false, payload: Buffer.from("Hello") }
    for (
      const digits of [
        "c107f248cdc9c90700",
        "4103f248cd8004c9c90700",
        "c10b000500faff48656c6c6f00",
        "c108f348cdc9c9070000",
        "c10df24805000000ffffcac9c90700"
      ]
    ) {
      assert.deepStrictEqual(read(digits), { events: [hello], faults: [] })
    }
    assert.deepStrictEqual(read("c107f248cdc9c90700c105f200110000"), { events: [hello, hello], faults: [] })
  })

  it.each([
    ["reserved bits 4 on opcode 0", "4103f248cdc004c9c90700"],
    ["reserved bits 4 on opcode 10", "ca00"],
    ["reserved bits 6 on opcode 1", "e10548656c6c6f"],
    ["a compressed message that breaks the agreement: a block of the reserved type", "c10106"],
    ["a text message that is not UTF-8", "c107000100feffff00"]
  ])("notices %s", (fault, digits) => {
    assert.deepStrictEqual(read(digits).faults, [fault])
  })
})

describe("parameters", () => {
  it("are read as they are written", () => {
    for (const item of compressionCases) {
      const offers = item.negotiation?.offers ?? []
      if (offers.length > 0) assert.deepStrictEqual(parse(offers.map(format).join(", ")), offers)
    }
    assert.deepStrictEqual(parse("permessage-deflate;server_max_window_bits=\"10\""), [{ serverMaxWindowBits: 10 }])
  })

  it.each([
    "permessage-bzip2",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=09",
    "permessage-deflate; client_max_window_bits=1e1",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; unknown"
  ])("refuses %s", (header) => {
    assert.throws(() => parse(header))
  })

  const full: Parameters = {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    serverMaxWindowBits: 10,
    clientMaxWindowBits: 12
  }

  it.each<[Parameters, string]>([
    [{}, "client_max_window_bits=15"],
    [{}, "client_max_window_bits"],
    [{ clientMaxWindowBits: true }, "client_max_window_bits"],
    [{ clientMaxWindowBits: 10 }, "client_max_window_bits=11"],
    [{ serverMaxWindowBits: 9 }, "server_no_context_takeover"],
    [{ serverMaxWindowBits: 9 }, "server_max_window_bits=10"],
    [{ serverNoContextTakeover: true }, "client_no_context_takeover"],
    [full, "server_max_window_bits=10; client_max_window_bits=12"]
  ])("an offer %o is not answered with %s", (offer, answer) => {
    assert.throws(() => judgeAnswer([offer], `permessage-deflate; ${answer}`), "no offer allows")
  })

  it("an answer holds for both sides", () => {
    assert.deepStrictEqual(judgeAnswer([{}], "permessage-deflate"), { server: whole, client: whole })
    assert.deepStrictEqual(
      judgeAnswer([{}], "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"),
      { server: { ...whole, windowBits: 12 }, client: alone }
    )
    const answer = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=12"
    const halves = { server: { ...alone, windowBits: 9 }, client: { ...whole, windowBits: 12 } }
    assert.deepStrictEqual(judgeAnswer([full], answer), halves)
    assert.deepStrictEqual(judgeAnswer([{ serverMaxWindowBits: 8 }, full], answer), halves)
    assert.throws(() => judgeAnswer([{}], "permessage-deflate, permessage-deflate"), "more than one")
  })

  it("the suite answers with the first wish that an offer allows", () => {
    const wishes: ReadonlyArray<Parameters> = [{ clientMaxWindowBits: 9 }, { clientNoContextTakeover: true }]
    const header = (offer: string) => chooseAnswer(wishes, offer)?.header
    assert.strictEqual(header("permessage-deflate"), "permessage-deflate; client_no_context_takeover")
    assert.strictEqual(
      header("permessage-deflate; client_max_window_bits; server_no_context_takeover"),
      "permessage-deflate; server_no_context_takeover; client_max_window_bits=9"
    )
    assert.strictEqual(
      header("permessage-deflate, permessage-deflate; client_max_window_bits=12"),
      "permessage-deflate; client_max_window_bits=9"
    )
    assert.isUndefined(chooseAnswer([{ clientMaxWindowBits: 9 }], "permessage-deflate; client_max_window_bits=8"))
  })
})

describe("cases with compression", () => {
  it("are those of the published suite, and some", () => {
    assert.deepStrictEqual(compressionGroups.map((group) => group.cases.length), [90, 126, 31])
    assert.strictEqual(new Set(ids(compressionCases)).size, 247)
  })

  it("send the same at every run, and all of a corpus", () => {
    for (const corpus of corpora) {
      const parts = Array.from({ length: 20 }, (_, index) => corpus.message(index, 1000))
      assert.isTrue(Buffer.concat(parts).equals(corpus.message(0, 20_000).subarray(0, Buffer.concat(parts).length)))
    }
  })
})

describe("ws with compression", () => {
  const options = { perMessageDeflate: { threshold: 0 } }

  it("passes in both roles", async () => {
    const subject = await wsServer(options)
    const server = await runAll(some, (item) => runServerCase(subject, item))
    subject.close()
    assert.deepStrictEqual(red(some, server), [])
    assert.deepStrictEqual(red(some, await runAll(some, (item) => runClientCase(wsClient(options), item))), [])
  })

  it("without compression is unimplemented in both roles", async () => {
    const items = pick("12.1.3", "13.1.3", "13.7.3")
    const subject = await wsServer()
    const server = await runAll(items, (item) => runServerCase(subject, item))
    subject.close()
    const client = await runAll(items, (item) => runClientCase(wsClient(), item))
    for (const item of items) {
      for (const results of [server, client]) {
        assert.strictEqual(results.get(item.id)!.behaviour, "UNIMPLEMENTED")
        assert.isFalse(isFull(item, results.get(item.id)!))
      }
    }
  })

  it("as a client with a window of its own is unimplemented where a wider one is asked for", async () => {
    const items = some.filter((item) => item.id.startsWith("13.") && item.id.endsWith(".3"))
    const client = wsClient({ perMessageDeflate: { threshold: 0, clientMaxWindowBits: 10 } })
    const results = await runAll(items, (item) => runClientCase(client, item))
    const unable = items.filter((item) => results.get(item.id)!.behaviour === "UNIMPLEMENTED")
    assert.deepStrictEqual(ids(unable), ["13.4.3", "13.6.3"])
  })
})

describe("a careless subject with compression", () => {
  const impatient = { deadlines: { handshake: 5_000, exchange: 2_500, tcp: 2_500 } }
  const run = async (flaw: DeflateFlaw, items: ReadonlyArray<Case>) => {
    const subject = await carelessDeflateServer(flaw)
    const results = await runAll(items, (item) => runServerCase(subject, item, impatient))
    subject.close()
    return results
  }
  const group13 = pick("13.1.5", "13.2.5", "13.3.5", "13.4.5", "13.5.5", "13.6.5", "13.7.5")

  it("passes the published groups without a flaw", async () => {
    const published = some.filter((item) => !item.id.startsWith("D.2"))
    assert.deepStrictEqual(red(published, await run("none", published)), [])
  })

  it.each<[DeflateFlaw, ReadonlyArray<Case>, ReadonlyArray<string>]>([
    ["keeps its context", group13, ["13.2.5", "13.5.5", "13.6.5", "13.7.5"]],
    ["widens its window", group13, ["13.3.5", "13.5.5", "13.7.5"]],
    ["forgets the other's context", pick("12.1.5", "D.1.1", "D.1.2", "D.1.9"), ["12.1.5", "D.1.2", "D.1.9"]],
    ["RSV1 on continuations", pick("12.1.5", "D.1.1", "D.1.10"), ["12.1.5", "D.1.10"]],
    ["RSV1 on pongs", pick("12.1.3", "D.1.7"), ["D.1.7"]],
    ["RSV1 on uncompressed messages", pick("12.1.5", "D.1.1"), ["12.1.5", "D.1.1"]],
    ["leaves the tail", pick("12.1.5", "D.1.1"), ["12.1.5", "D.1.1"]],
    ["corrupts", pick("12.1.3", "12.2.5", "D.1.1"), ["12.1.3", "12.2.5"]],
    ["drops", pick("12.1.3", "D.1.1"), ["12.1.3"]],
    ["never compresses", pick("12.1.1", "12.1.3", "12.2.5"), ["12.1.3", "12.2.5"]]
  ])("%s", async (flaw, items, expected) => {
    assert.deepStrictEqual(red(items, await run(flaw, items)), expected)
  })

  it("that never compresses is not strict, for nothing forbids it", async () => {
    const [item] = pick("12.1.5")
    assert.strictEqual((await run("never compresses", [item!])).get("12.1.5")!.behaviour, "NON-STRICT")
  })
})
