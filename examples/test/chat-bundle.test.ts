import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { bundle } from "../page/bundle.ts"

/** The numbers of a page's row in docs/browser.md. */
const told = (page: string): ReadonlyArray<number> => {
  const row = readFileSync(new URL("../../docs/browser.md", import.meta.url), "utf8").split("\n")
    .find((line) => line.startsWith(`| \`${page}\``)) ?? ""
  return row.split("|").slice(2, -1).map(Number)
}

describe.each(["chat", "board"])("the script of the page of %s", (page) => {
  it.live("is as large as docs/browser.md says", () =>
    Effect.gen(function*() {
      const file = fileURLToPath(new URL(`../${page}/page/main.ts`, import.meta.url))
      const scripts = [yield* bundle(file), yield* bundle(file, [/^effect(?:$|\/)/])]
      const sizes = scripts.flatMap((script) => [script.length, gzipSync(script, { level: 9 }).length])
        .map((bytes) => Math.round(bytes / 1000))
      const isNear = sizes.every((size, index) => Math.abs(told(page)[index]! / size - 1) <= 0.1)
      assert.isTrue(isNear, `docs/browser.md says ${told(page).join(", ")} KB of the page of ${page}; it has ${sizes.join(", ")}`)
    }))
})

describe("the script of the chat's page", () => {
  it.live("is small, and holds nothing of servers, of bytes on the wire or of codecs that it does not use", () =>
    Effect.gen(function*() {
      const script = yield* bundle(fileURLToPath(new URL("../chat/page/main.ts", import.meta.url)))
      assert.isBelow(script.length, 280_000)
      assert.isBelow(gzipSync(script, { level: 9 }).length, 90_000)
      // A word of each: the table of refusals, the head of a 101, masks in WebAssembly, the binary codec.
      for (const word of ["TooManyFromAddress", "Switching Protocols", "WebAssembly", "Binary layout"]) {
        assert.isFalse(script.includes(word), word)
      }
      assert.isTrue(script.includes("chat.v1"))
    }))
})
