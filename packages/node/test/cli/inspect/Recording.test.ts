import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { bytesEvent, encode, type Line, parse, rounded } from "../../../src/cli/inspect/Recording.ts"

const start: Line = { event: "start", version: 1, date: "2026-01-01T00:00:00.000Z", target: "ws://a/", masked: true }
const head: Line = { event: "head", at: 0.5, connection: 1, from: "client", start: "GET / HTTP/1.1", headers: [["Host", "a"]] }
const bytes = bytesEvent(1.25, 1, "server", Uint8Array.of(0, 255))
const end: Line = { event: "end", at: 2, connection: 1, from: "client", how: "ended TCP" }
const file = [start, head, bytes, end].map(encode).join("")

const whyNot = (text: string) => Result.getOrElse(Result.flip(parse(text)), () => "")

describe("Recording", () => {
  it("is read as it was written", () => {
    assert.deepStrictEqual(parse(file), Result.succeed({ start, events: [head, bytes, end] }))
    assert.strictEqual(rounded(1.23456), 1.235)
  })

  it("is read up to a last line that was cut off", () => {
    assert.deepStrictEqual(parse(file + "{\"event\":\"by"), parse(file))
    assert.deepStrictEqual(parse(file.slice(0, -1)), parse(file))
  })

  it("says in which line something is wrong", () => {
    assert.strictEqual(whyNot(""), "it is no recording of version 1")
    assert.strictEqual(whyNot(file.replace("\"version\":1", "\"version\":2")), "it is no recording of version 1")
    assert.strictEqual(whyNot(encode(head)), "it is no recording of version 1")
    assert.match(whyNot(file.replace("\"from\":\"server\"", "\"from\":\"nobody\"")), /^line 3: /)
  })
})
