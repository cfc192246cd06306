/** `npm run bench` as users run it, on the smallest scale. */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import type { Content } from "../../../benchmark/load/contents.ts"
import { guarded } from "../../../benchmark/load/flow.ts"
import { frame, makeFrames, noFrames, opcodes } from "../../../benchmark/load/frames.ts"
import { Link } from "../../../benchmark/load/link.ts"
import { atRate } from "../../../benchmark/load/rate.ts"
import { chat } from "../../../benchmark/load/room.ts"
import { ticks } from "../../../benchmark/load/ticks.ts"
import { bunBinary } from "../../../benchmark/peers.ts"
import { quantile } from "../../../benchmark/results.ts"
import { outcomeOf } from "./support/Outcome.ts"

const file = fileURLToPath(new URL("../../../benchmark/run.ts", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "effect-ws-bench-"))
afterAll(() => rmSync(folder, { recursive: true }))
const inFolder = (name: string) => join(folder, name)

const bench = (...args: ReadonlyArray<string>) => outcomeOf(file, args)

interface Row {
  readonly workload: string
  readonly peer: string
  readonly cost: number
  readonly costs: ReadonlyArray<number>
  readonly perSecond: number
  readonly latency?: { readonly p50: number; readonly p99: number; readonly p999: number }
  readonly residentBytes?: number
}

const rowsOf = (name: string) => {
  const results = JSON.parse(readFileSync(inFolder(name), "utf8")) as { readonly rows: ReadonlyArray<Row> }
  return { results, rows: results.rows }
}

const tiny = ["--no-micro", "--rounds", "1", "--seconds", "0.1"]

describe("npm run bench", { timeout: 60_000 }, () => {
  it("measures, keeps, draws and compares", async () => {
    writeFileSync(inFolder("document.md"), "before\n<!-- benchmark -->\nolder\n<!-- /benchmark -->\nafter\n")
    const first = await bench(
      ...tiny,
      "--workloads",
      "ping-pong-64,client-64",
      "--json",
      inFolder("first.json"),
      "--svg",
      inFolder("first.svg"),
      "--table",
      inFolder("document.md")
    )
    assert.strictEqual(first.status, 0, first.output)
    const { results, rows } = rowsOf("first.json")
    const bun = bunBinary === undefined ? [] : ["Bun"]
    assert.deepStrictEqual(
      rows.map(({ peer, workload }) => `${workload}: ${peer}`),
      [
        ...["ws", "effect-ws", "effect-ws portable", ...bun, "node:net"].map((peer) => `ping-pong-64: ${peer}`),
        ...["ws", "undici", "effect-ws", "effect-ws portable", ...bun].map((peer) => `client-64: ${peer}`)
      ]
    )
    for (const { cost, costs, peer, perSecond } of rows) {
      assert.isTrue(cost > 0.01 && cost < 10_000, `${peer}: ${cost} us`)
      assert.deepStrictEqual(costs, [cost])
      assert.isTrue(perSecond > 100 && perSecond < 100_000_000, `${peer}: ${perSecond}/s`)
    }
    const svg = readFileSync(inFolder("first.svg"), "utf8")
    assert.match(svg, /^<svg [^]*ping-pong-64[^]*<\/svg>\n$/)
    const document = readFileSync(inFolder("document.md"), "utf8")
    assert.match(document, /^before\n<!-- benchmark -->\n[^]*\| `ping-pong-64`: [^]*<!-- \/benchmark -->\nafter\n$/)
    assert.notInclude(document, "older")

    // The same, as if it had been a thousand times as fast, and as slow, before.
    for (const [name, factor] of [["faster", 1000], ["slower", 0.001]] as const) {
      const before = rows.map((row) => row.peer === "effect-ws" ? { ...row, cost: row.cost / factor } : row)
      writeFileSync(inFolder(name), JSON.stringify({ ...results, rows: before }))
    }
    const worse = await bench("--from", inFolder("first.json"), "--compare", inFolder("faster"))
    assert.strictEqual(worse.status, 1, worse.output)
    assert.match(worse.output, /became slower:\n {2}ping-pong-64: [\d,]+ % more/)
    const better = await bench("--from", inFolder("first.json"), "--compare", inFolder("slower"))
    assert.strictEqual(better.status, 0, better.output)
    assert.match(better.output, /nothing became slower/)
  })

  it("measures work: JSON, a chat, a feed, calls, at a fixed rate too", async () => {
    const names = ["json", "json-at-10k", "chat-200", "feed-5000", "rpc"]
    const few = "--peers effect-ws --scale 0.02 --rate 200".split(" ")
    const { output, status } = await bench(...tiny, ...few, "--workloads", names.join(), "--json", inFolder("work.json"))
    assert.strictEqual(status, 0, output)
    const { rows } = rowsOf("work.json")
    assert.deepStrictEqual(
      rows.map(({ peer, workload }) => `${workload}: ${peer}`),
      names.flatMap((name) => [name === "rpc" ? "Effect's own" : "ws", "effect-ws"].map((peer) => `${name}: ${peer}`))
    )
    for (const { cost, latency, peer, residentBytes, workload } of rows) {
      assert.isTrue(cost > 0.1 && cost < 100_000, `${workload}, ${peer}: ${cost} us`)
      const hasRate = workload === "json-at-10k" || workload === "feed-5000"
      assert.strictEqual(latency !== undefined && latency.p50 > 0 && latency.p50 <= latency.p99 && latency.p99 <= latency.p999, hasRate, workload)
      assert.strictEqual(residentBytes !== undefined && residentBytes > 2 ** 20, workload === "feed-5000")
    }
  })

  it("lists its workloads, and says what it does not know", async () => {
    const listed = await bench("--list")
    assert.strictEqual(listed.status, 0)
    assert.match(listed.output, /^idle-memory /m)
    for (const wrong of [["--workloads", "nonsense"], ["--rounds", "0"], ["--nonsense"]]) {
      const { output, status } = await bench(...wrong)
      assert.strictEqual(status, 2, output)
      assert.match(output, /npm run bench -- \[options\]/)
    }
  })
})

/** A link without a network: what it sent, how many messages it counted, what it complained of. */
const linkOf = (content: Content, size: number, options: { readonly deflated?: boolean; readonly order?: "same" | "any" } = {}) => {
  const { deflated = false, order = "same" } = options
  const written: Array<Buffer> = []
  const seen = { messages: 0, errors: [] as Array<string> }
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _, done) => {
      written.push(chunk)
      done()
    }
  })
  const link = new Link(socket, {
    masked: false,
    deflated,
    frames: makeFrames({ content, size, count: 4, masked: false, deflated }),
    order
  })
  link.onMessages = (count) => seen.messages += count
  link.onFailure = (error) => seen.errors.push(error.message)
  return { link, seen, sent: () => Buffer.concat(written) }
}

describe("the load generator", () => {
  for (const size of [0, 64, 200, 70_000]) {
    it(`counts messages of ${size} bytes, however they are cut`, () => {
      for (const step of [1, 7, 1000, 1_000_000]) {
        const { link, seen, sent } = linkOf("binary", size)
        link.send(3)
        link.send(3)
        const bytes = sent()
        for (let at = 0; at < bytes.length; at += step) link.receive(bytes.subarray(at, at + step))
        assert.deepStrictEqual(seen, { messages: 6, errors: [] })
        assert.strictEqual(link.inFlight, 0)
      }
    })
  }

  it("answers a Ping without compression, whatever messages have, and keeps why it failed", async () => {
    const { link, sent } = linkOf("json", 1024, { deflated: true })
    link.receive(frame(opcodes.ping, Buffer.from("x"), { masked: false }))
    assert.deepStrictEqual(sent(), Buffer.from([0x8a, 1, 0x78]))
    link.onFailure = () => {}
    link.receive(frame(opcodes.close, Uint8Array.of(3, 234), { masked: false }))
    const failed = guarded([link], 60_000, () => assert.fail("it has failed already"))
    assert.match(String(await failed.catch((error: Error) => error.message)), /the peer closed a connection/)
  })

  const tampered: ReadonlyArray<readonly [string, (bytes: Buffer) => Buffer]> = [
    ["a byte that changed", (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])])],
    ["messages in another order", (bytes) => Buffer.concat([bytes.subarray(66), bytes.subarray(0, 66)])],
    ["a message that is missing", (bytes) => bytes.subarray(66)],
    ["a message cut short", (bytes) => frame(opcodes.binary, bytes.subarray(2, 65), { masked: false })],
    ["another type", (bytes) => frame(opcodes.text, bytes.subarray(2, 66), { masked: false })],
    ["a Close", () => frame(opcodes.close, Uint8Array.of(3, 232), { masked: false })]
  ]
  for (const [name, tamper] of tampered) {
    it(`notices ${name}`, () => {
      const { link, seen, sent } = linkOf("binary", 64)
      link.send(2)
      link.receive(tamper(sent()))
      assert.strictEqual(seen.errors.length, 1)
    })
  }

  it("sends a message in fragments", () => {
    const { bytes } = makeFrames({ content: "ascii", size: 250, count: 1, masked: false, deflated: false, fragment: 100 })
    const heads = [0, 102, 204].map((at) => [...bytes.subarray(at, at + 2)])
    assert.deepStrictEqual(heads, [[0x01, 100], [0x00, 100], [0x80, 50]])
  })

  it("compares what was compressed", () => {
    for (const honest of [true, false]) {
      const { link, seen, sent } = linkOf("json", 1024, { deflated: true })
      link.send(4)
      // Whole messages, so that each can be inflated, but the first one twice.
      const bytes = sent()
      const first = bytes.subarray(0, 4 + bytes.readUInt16BE(2))
      link.receive(honest ? bytes : Buffer.concat([first, first]))
      link.compareRest()
      assert.strictEqual(seen.errors.length, honest ? 0 : 1)
    }
  })

  it("compares an answer that is not what it sent", () => {
    for (const total of [true, false]) {
      const { link, seen, sent } = linkOf("order", 300)
      link.send(1)
      const order = JSON.parse(sent().subarray(4).toString()) as { readonly price: number; readonly quantity: number }
      const answer = { ...order, state: "accepted", total: total ? order.price * order.quantity : 0 }
      link.receive(frame(opcodes.text, Buffer.from(JSON.stringify(answer)), { masked: false }))
      assert.strictEqual(seen.errors.length, total ? 0 : 1)
    }
  })

  it("takes answers in any order where they may have one, but none that nobody sent", () => {
    const { link, seen, sent } = linkOf("ascii", 64, { order: "any" })
    link.send(3)
    const bytes = sent()
    link.receive(Buffer.concat([bytes.subarray(66, 132), bytes.subarray(0, 66), bytes.subarray(132)]))
    assert.deepStrictEqual(seen, { messages: 3, errors: [] })
    link.receive(frame(opcodes.text, Buffer.from("x".repeat(64)), { masked: false }))
    assert.strictEqual(seen.errors.length, 1)
  })

  it("counts a message as late from the time at which it was due", async () => {
    const { link, sent } = linkOf("ascii", 64)
    link.comparing = false
    const running = atRate([link], 1000).run(20)
    // The program stands still while messages are due, and their answers arrive only after that.
    const until = performance.now() + 60
    while (performance.now() < until);
    await new Promise((resolve) => setImmediate(resolve))
    link.receive(sent())
    const { latencies, messages } = await running
    assert.strictEqual(messages, 20)
    assert.isAbove(quantile(latencies!, 0.5), 40_000)
  })

  it("delivers what a member of a chat says to all others", async () => {
    const members = [1, 2, 3].map(() => linkOf("ascii", 64, { order: "any" }))
    const flow = chat(members.map(({ link }) => link), 2)
    const running = flow.run(1)
    await new Promise((resolve) => setTimeout(resolve, 5))
    for (const { link } of members) link.comparing = false
    const [one, two, three] = members.map(({ sent }) => sent())
    members[0]!.link.receive(two!)
    members[1]!.link.receive(one!)
    members[2]!.link.receive(Buffer.concat([one!, two!]))
    assert.strictEqual(three!.length, 0)
    assert.strictEqual((await running).messages, 4)
  })

  it("misses a tick that a client should have had, which reads", async () => {
    const tick = (seq: number) => frame(opcodes.text, Buffer.from(JSON.stringify({ seq, at: 0 })), { masked: false })
    for (const seqs of [[4, 5, 6], [4, 6]]) {
      const link = new Link(new Duplex({ read: () => {} }), { masked: false, deflated: false, frames: noFrames, order: "same" })
      const flow = ticks([link])
      const running = flow.run(1)
      link.receive(Buffer.concat(seqs.map(tick)))
      const outcome = await running.then(({ messages }) => messages, (error: Error) => error.message)
      assert.strictEqual(outcome, seqs.length === 3 ? 3 : "tick 6 came after 4 to a client that reads")
      flow.close()
    }
  })

  it("answers pings between messages", () => {
    const { link, seen, sent } = linkOf("binary", 64)
    link.comparing = false
    link.send(1)
    const message = sent()
    link.receive(Buffer.concat([message, frame(opcodes.ping, Buffer.from("hi"), { masked: false }), message]))
    assert.deepStrictEqual(sent().subarray(message.length), frame(opcodes.pong, Buffer.from("hi"), { masked: false }))
    assert.deepStrictEqual(seen, { messages: 2, errors: [] })
  })
})
