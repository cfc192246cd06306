/** What this library adds to a page, beyond Effect's own. */
import { assert, describe, it } from "@effect/vitest"
import { rolldown } from "rolldown"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

describe("a page with a typed client", () => {
  it("holds little of this library, and nothing of bytes on the wire, of servers or of codecs that it does not use", async () => {
    const input = fileURLToPath(new URL("page/typed.ts", import.meta.url))
    // What stays outside is Effect's.
    const build = await rolldown({ input, platform: "browser", external: [/^effect(?:$|\/)/] })
    const { output: [{ code, moduleIds }] } = await build.generate({ format: "esm", minify: true })
    await build.close()
    // docs/runtimes.md says what they are.
    assert.isBelow(gzipSync(code, { level: 9 }).length, 19_600)
    const rooms = new Set(moduleIds.flatMap((id) => /\/core\/src\/(\w+)\//.exec(id)?.[1] ?? []))
    for (const room of ["handshake", "deflate", "server", "socket", "platform", "testing"]) {
      assert.isFalse(rooms.has(room), room)
    }
    for (const word of ["WebAssembly", "Switching Protocols", "Binary layout", "TooManyFromAddress", "websocket.", "ReservedBit", "dropOldest", "getRandomValues"]) {
      assert.isFalse(code.includes(word), word)
    }
    assert.isTrue(code.includes("bufferedAmount"))
  })
})
