import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"
import { type Answer, find, fits, read } from "../../../src/cli/serve/Script.ts"

const folderOf = (files: Readonly<Record<string, string>>): string => {
  const folder = mkdtempSync(join(tmpdir(), "effect-ws-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

describe("read", () => {
  it.effect("finds scripts by their path", () =>
    Effect.gen(function*() {
      const scripts = yield* read(folderOf({
        "index.json": "{\"open\":[{\"send\":\"root\"}]}",
        "feed.json": "{}",
        "a/b.json": "{\"refuse\":{\"status\":503}}",
        "a/index.json": "{}",
        "notes.txt": "nothing"
      }))
      assert.deepStrictEqual([...scripts.keys()].sort(), ["/", "/a", "/a/b", "/feed"])
      assert.strictEqual(find(scripts, "/a/b")?.refuse?.status, 503)
      assert.isUndefined(find(scripts, "/none"))
    }))

  it.effect("takes default.json for all other paths", () =>
    Effect.gen(function*() {
      const scripts = yield* read(folderOf({ "default.json": "{\"open\":[]}" }))
      assert.deepStrictEqual(find(scripts, "/anything"), { open: [] })
    }))

  it.effect.each([
    ["{", "x.json"],
    ["{\"opne\":[]}", "opne"],
    ["{\"answers\":[{\"to\":\"a\",\"do\":[{\"close\":5000}]}]}", "close"],
    ["{\"open\":[{\"close\":1005}]}", "a close code that can be sent"],
    [`{"open":[{"close":1000,"reason":"${"x".repeat(124)}"}]}`, "a reason of at most 123 bytes"],
    ["{\"answers\":[{\"matching\":\"(\",\"do\":[]}]}", "( is not a regular expression"],
    ["{\"open\":[{\"sendHex\":\"0\"}]}", "sendHex"]
  ])("names what is wrong in %s", ([text, what]) =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(read(folderOf({ "x.json": text })))
      assert.strictEqual(failure.status, 2)
      assert.include(failure.text, what)
    }))

  // Some may read every file.
  it.effect.skipIf(process.getuid === undefined || process.getuid() === 0)("names a file that cannot be read", () =>
    Effect.gen(function*() {
      const folder = folderOf({ "x.json": "{}" })
      chmodSync(join(folder, "x.json"), 0)
      const failure = yield* Effect.flip(read(folder))
      assert.strictEqual(failure.status, 2)
      assert.include(failure.text, "x.json: EACCES")
    }))

  it.effect("refuses a directory without scripts", () =>
    Effect.gen(function*() {
      assert.include((yield* Effect.flip(read(folderOf({})))).text, "holds no *.json file")
    }))
})

describe("fits", () => {
  const answer = (rest: Partial<Answer>): Answer => ({ do: [], ...rest })

  it("compares texts whole and JSON by its parts", () => {
    assert.isTrue(fits(answer({ to: "ping" }), "ping"))
    assert.isFalse(fits(answer({ to: "ping" }), "ping "))
    assert.isTrue(fits(answer({ to: { op: "login" } }), "{\"op\":\"login\",\"user\":1}"))
    assert.isTrue(fits(answer({ to: { a: [{ b: 1 }] } }), "{\"a\":[{\"b\":1,\"c\":2}]}"))
    assert.isFalse(fits(answer({ to: { a: [1] } }), "{\"a\":[1,2]}"))
    assert.isFalse(fits(answer({ to: { op: "login" } }), "login"))
    assert.isFalse(fits(answer({ to: { toString: {} } }), "{}"))
    assert.isTrue(fits(answer({ to: 5 }), "5"))
  })

  it("tries patterns, and takes every message where nothing is asked", () => {
    assert.isTrue(fits(answer({ matching: "^say \\w+$" }), "say hello"))
    assert.isFalse(fits(answer({ matching: "^say" }), "do not say"))
    assert.isFalse(fits(answer({ matching: "" }), Uint8Array.of(1)))
    assert.isTrue(fits(answer({}), Uint8Array.of(1)))
  })
})
