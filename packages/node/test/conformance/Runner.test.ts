/** The suite itself: that its cases are complete, that `ws` passes, and that each kind of wrong subject does not. */
import { assert, describe, it, vi } from "@effect/vitest"
import { carelessServer, type Flaw } from "./carelessSubject.ts"
import { cases, groups } from "../../src/conformance/cases/Cases.ts"
import type { Case } from "../../src/conformance/cases/Case.ts"
import { isFull, type Result, runAll, runClientCase, type RunOptions, runServerCase } from "../../src/conformance/Runner.ts"
import { encode, encodePart, type Event, FrameReader, Ping, Text } from "../../src/conformance/wire/Frames.ts"
import { wsClient, wsServer } from "./wsSubject.ts"

vi.setConfig({ testTimeout: 60_000 })

/** Short, because these subjects are meant to let them pass. */
const impatient: RunOptions = { deadlines: { handshake: 5_000, exchange: 2_500, tcp: 2_500 } }
const atOnce = 150

const light = cases.filter((item) => item.heavy !== true)
const isFailFast = (item: Case) => item.id.startsWith("6.4.")
const ids = (items: ReadonlyArray<Case>) => items.map((item) => item.id)
const red = (items: ReadonlyArray<Case>, results: ReadonlyMap<string, Result>) =>
  ids(items.filter((item) => !isFull(item, results.get(item.id)!)))

/** The cases that a subject without any check gets wrong. */
const isViolation = (item: Case): boolean => {
  const { close } = item.script()
  return close.by === "subject" || !(close.codes.includes(1000))
}
const isInvalidUtf8 = (item: Case): boolean => item.script().close.codes.includes(1007) && !item.id.startsWith("7.7.")

describe("wire", () => {
  const read = (octets: Uint8Array, expectMasked: boolean) => {
    const events: Array<Event> = []
    const faults: Array<string> = []
    const reader = new FrameReader(expectMasked, (event) => events.push(event), (fault) => faults.push(fault))
    for (const octet of octets) reader.push(Buffer.of(octet))
    return { events, faults }
  }
  const hello = Buffer.from("Hello")

  // The examples of RFC 6455 §5.7.
  it("builds the examples of the RFC", () => {
    const hex = (opcode: number, payload: Uint8Array, fin = true) =>
      encode([{ opcode, payload, fin }], false).toString("hex")
    assert.strictEqual(hex(Text, hello), "810548656c6c6f")
    assert.strictEqual(hex(Text, Buffer.from("Hel"), false), "010348656c")
    assert.strictEqual(hex(0, Buffer.from("lo")), "80026c6f")
    assert.strictEqual(hex(Ping, hello), "890548656c6c6f")
    assert.strictEqual(hex(2, new Uint8Array(256)).slice(0, 8), "827e0100")
    assert.strictEqual(hex(2, new Uint8Array(65536)).slice(0, 20), "827f0000000000010000")
    const key = Buffer.from("37fa213d", "hex")
    const part = { opcode: Text, length: 5, from: 0, data: hello }
    assert.strictEqual(encodePart(part, key).toString("hex"), "818537fa213d7f9f4d5158")
    assert.strictEqual(encodePart({ ...part, from: 3, data: Buffer.from("lo") }, key).toString("hex"), "5158")
  })

  it("reads masked octets one by one", () => {
    const { events, faults } = read(Buffer.from("818537fa213d7f9f4d5158880203e8", "hex").subarray(0, 11), true)
    assert.deepStrictEqual(events, [{ _tag: "Message", binary: false, payload: hello }])
    assert.deepStrictEqual(faults, [])
  })

  it.each([
    ["reserved bits 4 on opcode 1", "c10548656c6c6f"],
    ["reserved opcode 3", "830548656c6c6f"],
    ["a continuation of nothing", "80026c6f"],
    ["a new message inside a fragmented one", "010348656c810348656c"],
    ["a fragmented control frame", "0900"],
    ["a control frame above 125 bytes", "897e007e" + "00".repeat(126)],
    ["length 1 is not in its shortest form", "827e0001ff"],
    ["a masked frame", "818537fa213d7f9f4d5158"],
    ["a text message that is not UTF-8", "8101ff"],
    ["a Close frame with one byte", "880103"],
    ["a Close frame with code 1005", "880203ed"],
    ["a Close reason that is not UTF-8", "880303e8ff"],
    ["a frame with opcode 9 after Close", "88008900"]
  ])("notices %s", (fault, digits) => {
    assert.deepStrictEqual(read(Buffer.from(digits, "hex"), false).faults, [fault])
  })

  it("notices a frame that is not masked", () => {
    assert.deepStrictEqual(read(Buffer.from("810548656c6c6f", "hex"), true).faults, ["an unmasked frame"])
  })
})

describe("cases", () => {
  it("are those of the published suite", () => {
    assert.deepStrictEqual(groups.map((group) => group.cases.length), [16, 11, 7, 10, 20, 145, 37, 54, 1])
    assert.strictEqual(new Set(ids(cases)).size, 301)
  })

  it("hold UTF-8 sequences that are what they say", () => {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
    const isValid = (item: Case): boolean => {
      const step = item.script().steps[0]!
      if (step._tag !== "Frames") return false
      try {
        decoder.decode(step.frames[0]!.payload)
        return true
      } catch {
        return false
      }
    }
    const sequences = cases.filter((item) => item.id.startsWith("6.") && Number(item.id.split(".")[1]) >= 5)
    assert.strictEqual(sequences.length, 132)
    assert.deepStrictEqual(ids(sequences.filter(isValid)), ids(sequences.filter((item) => !isInvalidUtf8(item))))
  })
})

describe("ws", () => {
  it("passes as a server, except for failing fast", async () => {
    const subject = await wsServer()
    const results = await runAll(light, (item) => runServerCase(subject, item))
    subject.close()
    assert.deepStrictEqual(red(light, results), ids(light.filter(isFailFast)))
    for (const item of light.filter(isFailFast)) assert.strictEqual(results.get(item.id)!.verdict, "NON-STRICT")
  })

  it("passes as a client, except for failing fast", async () => {
    const results = await runAll(light, (item) => runClientCase(wsClient(), item))
    assert.deepStrictEqual(red(light, results), ids(light.filter(isFailFast)))
  })

  it("fails the cases with invalid UTF-8 when it does not look, in both roles", async () => {
    const options = { skipUTF8Validation: true }
    const subject = await wsServer(options)
    const utf8 = cases.filter((item) => (item.id.startsWith("6.") && !isFailFast(item)) || item.id === "7.5.1")
    const expected = ids(utf8.filter(isInvalidUtf8))
    const server = await runAll(utf8, (item) => runServerCase(subject, item, impatient), atOnce)
    subject.close()
    assert.deepStrictEqual(red(utf8, server), expected)
    const client = await runAll(utf8, (item) => runClientCase(wsClient(options), item, impatient), atOnce)
    assert.deepStrictEqual(red(utf8, client), expected)
  })

  it("fails the messages above a limit that is too small", async () => {
    const subject = await wsServer({ maxPayload: 65535 })
    const framing = cases.filter((item) => item.id.startsWith("1."))
    const results = await runAll(framing, (item) => runServerCase(subject, item))
    subject.close()
    assert.deepStrictEqual(red(framing, results), ["1.1.7", "1.1.8", "1.2.7", "1.2.8"])
    assert.strictEqual(results.get("1.1.7")!.code, 1009)
  })
})

const some = light.filter((item) => !item.id.startsWith("6."))
const run = async (flaw: Flaw, items: ReadonlyArray<Case> = some) => {
  const subject = await carelessServer(flaw)
  const results = await runAll(items, (item) => runServerCase(subject, item, impatient), atOnce)
  subject.close()
  return results
}
const pick = (...wanted: ReadonlyArray<string>) => cases.filter((item) => wanted.includes(item.id))

describe("a careless subject", () => {
  it("passes without a flaw", async () => {
    assert.deepStrictEqual(red(some, await run("none")), [])
  })

  it("fails every violation that it lets pass", async () => {
    const results = await run("tolerant")
    assert.deepStrictEqual(red(some, results), ids(some.filter(isViolation)))
    assert.strictEqual(results.get("3.1")!.behaviour, "FAILED")
  })

  it("is unclean if it drops TCP without Close", async () => {
    const results = await run("silent")
    assert.deepStrictEqual(red(some, results), ids(some.filter(isViolation)))
    assert.strictEqual(results.get("4.1.1")!.closeBehaviour, "UNCLEAN")
    // A Close frame should be sent then, and need not be.
    for (const id of ["4.1.1", "7.9.1"]) assert.strictEqual(results.get(id)!.verdict, "NON-STRICT")
  })

  it("has the wrong code", async () => {
    const results = await run("wrong code")
    assert.deepStrictEqual(red(some, results), ids(some.filter(isViolation)))
    assert.strictEqual(results.get("5.9")!.closeBehaviour, "WRONG CODE")
    assert.strictEqual(results.get("5.9")!.verdict, "FAILED")
    // What the published suite does not judge is no failure.
    assert.strictEqual(results.get("7.13.1")!.verdict, "INFORMATIONAL")
  })

  it("has full marks for failing fast, and not for failing too early", async () => {
    const items = light.filter(isFailFast)
    assert.deepStrictEqual(red(items, await run("1007 at chunk 2", items)), [])
    assert.deepStrictEqual(red(items, await run("1007 at chunk 1", items)), ids(items))
  })

  it("that is not there fails the opening handshake", async () => {
    const subject = await carelessServer("none")
    subject.close()
    const [item] = pick("1.1.2")
    assert.include((await runServerCase(subject, item!, impatient)).message, "opening handshake")
  })
})

// Most of them wait for a deadline, and are few cases: so they wait together.
describe("a careless subject in a few cases", { concurrent: true }, () => {
  it.each<[Flaw, ReadonlyArray<string>, ReadonlyArray<string>]>([
    ["masks", ["1.1.2", "2.2"], ["1.1.2", "2.2"]],
    ["reserved bits", ["1.1.2", "2.2"], ["1.1.2", "2.2"]],
    ["corrupts", ["1.1.1", "1.1.2", "1.2.7", "2.2"], ["1.1.2", "1.2.7"]],
    ["forgets pongs", ["1.1.2", "2.2", "2.7", "5.6"], ["2.2", "5.6"]],
    ["talks on", ["7.1.1", "7.1.3", "7.1.4", "7.1.5"], ["7.1.3", "7.1.4", "7.1.5"]],
    ["lingers", ["1.1.2", "3.1"], ["1.1.2", "3.1"]],
    ["hasty", ["1.1.2", "2.2"], ["1.1.2"]]
  ])("%s", async (flaw, wanted, expected) => {
    const items = pick(...wanted)
    assert.deepStrictEqual(red(items, await run(flaw, items)), expected)
  })

  it("fails if the client's program does not end with its connection", async () => {
    const [item] = pick("1.1.2")
    const client = wsClient()
    const endless = {
      connect: async (url: string) => {
        await client.connect(url)
        await new Promise(() => undefined)
      }
    }
    assert.strictEqual((await runClientCase(endless, item!, impatient)).closeBehaviour, "FAILED")
    assert.isTrue(isFull(item!, await runClientCase(client, item!, impatient)))
  })
})
