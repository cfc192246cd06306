/** `npm run soak` as users run it, on the smallest scale, and whether it would notice. */
import { assert, describe, it } from "@effect/vitest"
import { WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Latch from "effect/Latch"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import { frame } from "../../../soak/abandon.ts"
import { Fates } from "../../../soak/fates.ts"
import { numbered, opcodes, Reader, unmasked } from "../../../soak/guests/wire.ts"
import { Histogram } from "../../../soak/histogram.ts"
import { Ledger } from "../../../soak/ledger.ts"
import { parse, UsageError } from "../../../soak/options.ts"
import { type Body, check, Checker, make } from "../../../soak/payload.ts"
import { Room } from "../../../soak/pace.ts"
import { session, type Talk } from "../../../soak/session.ts"
import { Tally } from "../../../soak/tally.ts"
import { draws, fragments, makeRandom } from "../../../soak/traffic.ts"
import { outcomeOf } from "./support/Outcome.ts"
import { serve } from "./support/Serve.ts"

const program = fileURLToPath(new URL("../../../soak/run.ts", import.meta.url))
const careless = fileURLToPath(new URL("./support/carelessServer.ts", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "effect-ws-soak-"))
afterAll(() => rmSync(folder, { recursive: true }))

// Most of the time of so short a soak goes into starting processes.
const soak = (args: ReadonlyArray<string>) => outcomeOf(program, args, { ...process.env, NODE_COMPILE_CACHE: join(folder, "compiled") })

describe("npm run soak", { timeout: 180_000, concurrent: true }, () => {
  it("passes, and reports", async () => {
    const report = join(folder, "soak.md")
    const { output, status } = await soak(
      "--seconds 2 --warm-up 0.5 --connections 12 --busy 8 --clients 2 --idle-interval 0.5 --rate 400 --mib-per-second 4 --faults 15 --slow 2 --slow-mib 0.3 --leavers 0 --subscribers 2 --report"
        .split(" ").concat(report)
    )
    assert.strictEqual(status, 0, output)
    assert.match(output, /Passed: nothing was lost, nothing leaked/)
    const text = readFileSync(report, "utf8")
    assert.match(text, /\*\*Passed/)
    assert.match(text, /npm run soak -- --seconds 2 --warm-up 0.5 --connections 12/)
    for (const direction of ["client to server", "server to client"]) {
      const cells = text.split("\n").find((line) => line.includes(direction))!.split("|").map((cell) => cell.trim())
      assert.isAbove(Number(cells[2]!.replaceAll(",", "")), 100, text)
      assert.deepStrictEqual(cells.slice(4, 8), ["0", "0", "0", "0"])
    }
    for (const name of ["JSON", "empty text", "binary to 64 KiB", "resets", "leaves"]) assert.include(text, name)
    for (const name of ["talk", "fault", "pour", "push"]) assert.match(text, new RegExp(`\\| ${name} +\\| +[\\d,]+ \\| +[\\d,]+ \\| +0 \\|`))
  })

  it("notices a server that loses, repeats, swaps and alters messages, and leaks", async () => {
    const { output, status } = await soak(
      "--seconds 2 --warm-up 0.3 --connections 8 --mib-per-second 4 --faults 0 --slow 0 --leavers 0 --subscribers 0 --patience 1 --tolerance-mib 1 --server".split(" ").concat(careless)
    )
    assert.strictEqual(status, 1, output)
    for (const what of ["were lost on the way back", "came twice on the way back", "came out of order on the way back", "were altered on the way back"]) {
      assert.include(output, what)
    }
    assert.notInclude(output, "on the way to the server")
    assert.match(output, /leaked by the server: the heap grew by [\d.]+ MiB/)
  })

  it("notices a server that crashes", async () => {
    const { output, status } = await soak(["--seconds", "1", "--faults", "0", "--server", join(folder, "nothing.ts")])
    assert.notStrictEqual(status, 0)
    assert.match(output, /the process "server" ended/)
  })

  it("says what it does not understand", async () => {
    for (const wrong of ["--minutes 0", "--minutes 1 --seconds 1", "--connections 1.5", "--busy 5 --connections 4", "--nonsense", "--rate x"]) {
      assert.throws(() => parse(wrong.split(" ")), UsageError)
    }
    assert.isUndefined(parse(["--help"]))
    const { output, status } = await soak(["--minutes", "-1"])
    assert.strictEqual(status, 2)
    assert.match(output, /npm run soak -- \[options\]/)
  })
})

describe("the messages of a soak", () => {
  const random = makeRandom(7)
  const bodies: ReadonlyArray<Body> = Array.from({ length: 200 }, () => draws.messages(random).body)

  it("are recognised whole and in pieces", () => {
    for (const [seq, body] of bodies.entries()) {
      const message = make("1.0", seq, ".", body)
      assert.deepStrictEqual(check("1.0", message), { _tag: "Intact", seq, command: "." })
      const checker = new Checker("1.0", typeof message === "string")
      const parts: ReadonlyArray<Body> = fragments(random, message, 20)
      for (const part of parts) checker.push(part)
      assert.deepStrictEqual(checker.end(), { _tag: "Intact", seq, command: "." })
      assert.strictEqual(checker.length, message.length)
    }
    assert.deepStrictEqual(check("1.0", ""), { _tag: "Empty" })
  })

  it("are bound to their connection, type, place, command and contents", () => {
    const isCorrupt = (message: Body, binding = "1.0") => assert.strictEqual(check(binding, message)._tag, "Corrupt", String(message))
    const text = make("1.0", 258, ".", "hello") as string
    isCorrupt(text, "1.1")
    isCorrupt(Buffer.from(text))
    isCorrupt(text.slice(0, -1))
    isCorrupt(text.slice(0, 9))
    isCorrupt(`${text} `)
    for (let at = 0; at < text.length; at++) {
      for (const other of ["0", "c", "☃"]) if (text[at] !== other) isCorrupt(text.slice(0, at) + other + text.slice(at + 1))
    }
    const bytes = Buffer.from(make("1.0", 258, ".", Buffer.from("hello")) as Uint8Array)
    isCorrupt(bytes.toString("latin1"))
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      isCorrupt(bytes)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  it("are the same for the same seed", () => {
    const drawn = (seed: number) => {
      const random = makeRandom(seed)
      return Array.from({ length: 50 }, () => draws.messages(random).kind)
    }
    assert.deepStrictEqual(drawn(3), drawn(3))
    assert.notDeepEqual(drawn(3), drawn(4))
  })
})

describe("the room of a soak", () => {
  it.effect("is given in the order of the requests; a request that is given up lets the next ones in", () =>
    Effect.gen(function*() {
      const room = new Room(10)
      const had: Array<string> = []
      const wish = (name: string, amount: number) =>
        Effect.forkChild(room.take(amount, () => had.push(name)), { startImmediately: true })
      yield* wish("first", 6)
      const large = yield* wish("large", 8)
      yield* wish("small", 2)
      assert.deepStrictEqual(had, ["first"])
      yield* Fiber.interrupt(large)
      assert.deepStrictEqual(had, ["first", "small"])
      yield* wish("more than there is", 20)
      room.give(6)
      assert.strictEqual(had.length, 2)
      room.give(2)
      assert.strictEqual(had.at(-1), "more than there is")
      yield* wish("last", 1)
      assert.strictEqual(had.length, 3)
      room.give(20)
      assert.strictEqual(had.at(-1), "last")
    }))

  it.live("is waited for by no connection that has ended", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(HttpRouter.add("GET", "/soak", WebSocketServer.handle((ws) => ws.close(4000))))
      const room = new Room(10)
      // By others, who will not give it back.
      yield* room.take(10)
      const ends: Array<string | undefined> = []
      const talk: Talk = {
        url: `ws://127.0.0.1:${port}`,
        inFlight: 1,
        patience: 60,
        idleInterval: 1,
        stopping: Latch.makeUnsafe(false),
        isStopping: () => false,
        pace: () => Effect.void,
        room,
        opened: Effect.void,
        sent: () => {},
        received: () => {},
        took: () => {},
        ended: (_, { problem }) => void ends.push(problem)
      }
      yield* session(talk, { number: 1, epoch: 0, style: "messages", life: 60_000, compression: false, seed: 1 })
      assert.deepStrictEqual(ends, ["Error: the server closed unasked"])
      room.give(10)
      yield* room.take(10)
    }).pipe(Effect.provide(NodeWebSocketClient.layer)))
})

describe("the accounts of a soak", () => {
  const after = (...seqs: ReadonlyArray<number>) => {
    const ledger = new Ledger()
    for (const seq of seqs) ledger.take(seq, 1)
    return (sent: number) => {
      const { duplicates, missing, reordered } = ledger.counts(sent)
      return { missing, duplicates, reordered }
    }
  }

  it("tell loss from delay and repetition", () => {
    assert.deepStrictEqual(after(0, 1, 2)(3), { missing: 0, duplicates: 0, reordered: 0 })
    assert.deepStrictEqual(after(0, 2)(3), { missing: 1, duplicates: 0, reordered: 0 })
    assert.deepStrictEqual(after(0, 1)(5), { missing: 3, duplicates: 0, reordered: 0 })
    assert.deepStrictEqual(after(0, 1, 1, 0)(2), { missing: 0, duplicates: 2, reordered: 0 })
    assert.deepStrictEqual(after(1, 0, 2)(3), { missing: 0, duplicates: 0, reordered: 1 })
    assert.deepStrictEqual(after(5000)(5001), { missing: 5000, duplicates: 0, reordered: 0 })
    const ledger = new Ledger()
    ledger.takeNext(0)
    ledger.take(2, 1)
    assert.strictEqual(ledger.counts().missing, 1)
  })

  const counts = { received: 2, bytes: 2, missing: 0, duplicates: 0, reordered: 0, corrupt: 0 }

  it("compare what was sent with what arrived, in whichever order the reports come", () => {
    for (const order of [0, 1]) {
      const tally = new Tally()
      const steps = [
        () => tally.addAccounts([{ key: "1.0", counts, next: 2, end: "" }]),
        () =>
          tally.addClient({
            sessions: [{ key: "1.0", sent: 3, counts, problem: undefined }],
            latencies: Object.fromEntries(["small", "large", "streamed", "ping", "connect"].map((name) => [name, { buckets: [], max: 0 }]))
          } as unknown as Parameters<Tally["addClient"]>[0])
      ]
      steps[order]!()
      steps[1 - order]!()
      tally.finish()
      assert.strictEqual(tally.there.missing, 1)
      assert.strictEqual(tally.back.missing, 0)
      assert.strictEqual(tally.connections, 1)
      assert.strictEqual(tally.problemCount, 0)
    }
  })

  it("miss a connection that one side does not know of", () => {
    const tally = new Tally()
    tally.addAccounts([{ key: "1.0", counts, next: 2, end: "" }])
    tally.finish()
    assert.strictEqual(tally.problemCount, 1)
  })

  const sent = { key: "a", end: "close", sent: 10, flushed: 0, clean: true, code: 1000 } as const
  const received = { key: "a", pace: "slowly", received: 10, outOfPlace: 0, end: "end of stream" } as const

  it("compare what a slow peer received with what was accepted and how the connection closed", () => {
    const fate = (accepted: Partial<typeof sent | { flushed: number; clean: boolean }>, received_: number) => {
      const fates = new Fates()
      fates.addReceived([{ ...received, received: received_ }])
      fates.addAccepted([{ ...sent, ...accepted }])
      const { lost, told } = Object.values(fates.slow)[0]!
      assert.strictEqual(fates.finish().length, lost > 0 ? 1 : 0)
      return { lost, told }
    }
    assert.deepStrictEqual(fate({}, 10), { lost: 0, told: 0 })
    assert.deepStrictEqual(fate({}, 7), { lost: 3, told: 0 })
    assert.deepStrictEqual(fate({ clean: false }, 7), { lost: 0, told: 3 })
    assert.deepStrictEqual(fate({ clean: false, flushed: 9 }, 7), { lost: 2, told: 1 })
  })

  it("miss a receiver, a handler that is left behind, one that ended late, and a push", () => {
    const fates = new Fates()
    fates.addAccepted([sent])
    fates.addDepartures([{ key: "b", kind: "never", way: "FIN", at: 1000 }, { key: "c", kind: "job", way: "RST", at: 1000 }])
    fates.addEnds([{ key: "c", at: 70_000 }, { key: "b", at: 3000 }])
    fates.handlers = { never: { started: 3, ended: 1 } }
    fates.pushes = { received: 9, lost: 1, pings: 1 }
    assert.strictEqual(fates.running, 2)
    assert.deepStrictEqual(fates.finish(), [
      "1 messages to subscribers were lost",
      "1 handlers (job, left by RST) ended more than 60 s after their clients",
      "2 handlers (never) were left behind",
      "1 senders to slow peers have no receiver"
    ])
  })

  it("give percentiles within 5 %", () => {
    const histogram = new Histogram()
    for (let i = 1; i <= 1000; i++) histogram.record(i)
    const other = new Histogram()
    other.merge(histogram.take())
    assert.strictEqual(histogram.count, 0)
    assert.strictEqual(other.count, 1000)
    for (const share of [0.5, 0.9, 0.99]) {
      assert.isAtLeast(other.percentile(share), 1000 * share)
      assert.isAtMost(other.percentile(share), 1050 * share)
    }
    assert.strictEqual(other.percentile(1), 1000)
    assert.strictEqual(other.max, 1000)
    assert.strictEqual(new Histogram().percentile(0.5), 0)
  })
})

describe("the guests of a soak", () => {
  it("read numbers and control frames, however the bytes are cut, masked or not", () => {
    const masked = (payload: Buffer) => frame(0x82, payload)
    const long = Buffer.concat([Buffer.from([0x82, 126, 0x20, 0]), numbered(2, 0x2000)])
    const bytes = Buffer.concat([
      masked(numbered(0, 8)),
      unmasked(opcodes.ping, Buffer.from("hi")),
      masked(numbered(1, 300)),
      long,
      unmasked(opcodes.close, Buffer.from([3, 232]))
    ])
    for (const step of [1, 3, 100, bytes.length]) {
      const seen: Array<unknown> = []
      const reader = new Reader({
        message: (seq, length) => seen.push([seq, length]),
        control: (opcode, payload) => seen.push([opcode, payload.toString("hex")])
      })
      for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step))
      assert.deepStrictEqual(seen, [[0, 8], [opcodes.ping, "6869"], [1, 300], [2, 0x2000], [opcodes.close, "03e8"]])
    }
  })
})
