/** What this library adds to a page, beyond Effect's own, and both together. */
import { assert, describe, it } from "@effect/vitest"
import { rolldown } from "rolldown"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

const bundle = async (external: Array<RegExp>) => {
  const input = fileURLToPath(new URL("page/typed.ts", import.meta.url))
  const build = await rolldown({ input, platform: "browser", external })
  const { output: [{ code, moduleIds }] } = await build.generate({ format: "esm", minify: true })
  await build.close()
  return { code, moduleIds, size: gzipSync(code, { level: 9 }).length }
}

describe("a page with a typed client", () => {
  it("holds little of this library, and nothing of bytes on the wire, of servers or of codecs that it does not use", async () => {
    // What stays outside is Effect's.
    const { code, moduleIds, size } = await bundle([/^effect(?:$|\/)/])
    // docs/runtimes.md says what they are.
    assert.isBelow(size, 19_500)
    const rooms = new Set(moduleIds.flatMap((id) => /\/core\/src\/(\w+)\//.exec(id)?.[1] ?? []))
    for (const room of ["handshake", "deflate", "server", "socket", "platform", "testing"]) {
      assert.isFalse(rooms.has(room), room)
    }
    const modules = new Set(moduleIds.map((id) => /(\w+)\.ts$/.exec(id)?.[1]))
    for (const module of ["ByteLink", "FramePieces", "Pings", "SlowConsumer", "Telemetry", "Meter", "HeartbeatTimer", "Relay"]) {
      assert.isFalse(modules.has(module), module)
    }
    for (const word of ["WebAssembly", "Switching Protocols", "Binary layout", "TooManyFromAddress", "websocket.", "ReservedBit"]) {
      assert.isFalse(code.includes(word), word)
    }
    assert.isTrue(code.includes("bufferedAmount"))
  })

  it("has at most 54 KB with what it uses of Effect", async () => {
    const { code, size } = await bundle([])
    assert.isBelow(code.length, 170_000)
    assert.isBelow(size, 54_000)
  })
})
