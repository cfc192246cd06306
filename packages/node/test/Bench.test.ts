/** `npm run bench` as users run it, on the smallest scale. */
import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import { type Content, frame, makeFrames, opcodes } from "../../../benchmark/load/frames.ts"
import { Link } from "../../../benchmark/load/link.ts"

const file = fileURLToPath(new URL("../../../benchmark/run.ts", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "effect-ws-bench-"))
afterAll(() => rmSync(folder, { recursive: true }))
const inFolder = (name: string) => join(folder, name)

const bench = (...args: ReadonlyArray<string>) =>
  new Promise<{ readonly status: number | null; readonly output: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [file, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        output += chunk
      })
    }
    child.on("error", reject)
    child.on("close", (status) => resolve({ status, output }))
  })

interface Row {
  readonly workload: string
  readonly peer: string
  readonly cost: number
  readonly costs: ReadonlyArray<number>
  readonly perSecond: number
}

const rowsOf = (name: string) => {
  const results = JSON.parse(readFileSync(inFolder(name), "utf8")) as { readonly rows: ReadonlyArray<Row> }
  return { results, rows: results.rows }
}

const tiny = ["--no-micro", "--rounds", "1", "--seconds", "0.1"]

describe("npm run bench", { timeout: 60_000 }, () => {
  it("measures, keeps, draws and compares", async () => {
    const first = await bench(
      ...tiny,
      "--workloads",
      "ping-pong-64,client-64",
      "--json",
      inFolder("first.json"),
      "--svg",
      inFolder("first.svg")
    )
    assert.strictEqual(first.status, 0, first.output)
    const { results, rows } = rowsOf("first.json")
    assert.deepStrictEqual(
      rows.map(({ peer, workload }) => `${workload}: ${peer}`),
      [
        ...["ws", "effect-ws", "node:net"].map((peer) => `ping-pong-64: ${peer}`),
        ...["ws", "undici", "effect-ws"].map((peer) => `client-64: ${peer}`)
      ]
    )
    for (const { cost, costs, peer, perSecond } of rows) {
      assert.isTrue(cost > 0.01 && cost < 10_000, `${peer}: ${cost} us`)
      assert.deepStrictEqual(costs, [cost])
      assert.isTrue(perSecond > 100 && perSecond < 100_000_000, `${peer}: ${perSecond}/s`)
    }
    const svg = readFileSync(inFolder("first.svg"), "utf8")
    assert.match(svg, /^<svg [^]*ping-pong-64[^]*<\/svg>\n$/)

    // The same, as if it had been a thousand times as fast, and as slow, before.
    for (const [name, factor] of [["faster", 1000], ["slower", 0.001]] as const) {
      const before = rows.map((row) => row.peer === "effect-ws" ? { ...row, cost: row.cost / factor } : row)
      writeFileSync(inFolder(name), JSON.stringify({ ...results, rows: before }))
    }
    const worse = await bench(...tiny, "--workloads", "ping-pong-64", "--compare", inFolder("faster"))
    assert.strictEqual(worse.status, 1, worse.output)
    assert.match(worse.output, /became slower:\n {2}ping-pong-64: [\d,]+ % more/)
    const better = await bench(...tiny, "--workloads", "ping-pong-64", "--compare", inFolder("slower"))
    assert.strictEqual(better.status, 0, better.output)
    assert.match(better.output, /nothing became slower/)
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
const linkOf = (content: Content, size: number, deflated = false) => {
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
    frames: makeFrames({ content, size, count: 4, masked: false, deflated })
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

  it("compares what was compressed", () => {
    for (const honest of [true, false]) {
      const { link, seen, sent } = linkOf("ascii", 1024, true)
      link.send(4)
      // Whole messages, so that each can be inflated, but the first one twice.
      const bytes = sent()
      const first = bytes.subarray(0, 4 + bytes.readUInt16BE(2))
      link.receive(honest ? bytes : Buffer.concat([first, first]))
      link.compareRest()
      assert.strictEqual(seen.errors.length, honest ? 0 : 1)
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
