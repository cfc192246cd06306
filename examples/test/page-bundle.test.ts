/** What this library adds to a page, beyond Effect's own, and both together. */
import { assert, describe, it } from "@effect/vitest"
import { rolldown } from "rolldown"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

const input = fileURLToPath(new URL("page/typed.ts", import.meta.url))

const gzipped = (code: string) => gzipSync(code, { level: 9 }).length

const bundle = async (external: Array<RegExp>) => {
  const build = await rolldown({ input, platform: "browser", external })
  const { output: [{ code, moduleIds }] } = await build.generate({ format: "esm", minify: true })
  await build.close()
  return { code, moduleIds, size: gzipped(code) }
}

/** What of Effect the page has: the part of its own bundle, without the list of exports that a chunk ends with. */
const effectAlone = async () => {
  const build = await rolldown({ input, platform: "browser" })
  const groups = [{ name: "effect", test: /node_modules[\\/]effect[\\/]/ }]
  const { output } = await build.generate({ format: "esm", minify: true, codeSplitting: { groups } })
  await build.close()
  const chunks = output.flatMap((one) => one.type === "chunk" ? [one] : [])
  assert.strictEqual(chunks.length, 2)
  const { code, moduleIds } = chunks.find(({ name }) => name === "effect")!
  assert.isTrue(moduleIds.every((id) => id.includes("node_modules")))
  return gzipped(code.slice(0, code.lastIndexOf("export{")))
}

describe("a page with a typed client", () => {
  it("holds little of this library, and nothing of bytes on the wire, of servers or of codecs that it does not use", async () => {
    // What stays outside is Effect's.
    const { code, moduleIds, size } = await bundle([/^effect(?:$|\/)/])
    // docs/runtimes.md says what they are.
    assert.isBelow(size, 16_100)
    const rooms = new Set(moduleIds.flatMap((id) => /\/core\/src\/(\w+)\//.exec(id)?.[1] ?? []))
    for (const room of ["handshake", "deflate", "server", "socket", "platform", "testing", "reconnect", "realtime"]) {
      assert.isFalse(rooms.has(room), room)
    }
    const modules = new Set(moduleIds.map((id) => /(\w+)\.ts$/.exec(id)?.[1]))
    for (
      const module of [
        "BackgroundTimer", "ByteLink", "ByteOutput", "FramePieces", "HeartbeatTimer", "Holding", "MessageWatch", "Meter", "Pings", "Relay",
        "SlowConsumer", "StreamedMessage", "Telemetry"
      ]
    ) {
      assert.isFalse(modules.has(module), module)
    }
    for (
      const word of [
        "WebAssembly", "Switching Protocols", "Binary layout", "TooManyFromAddress", "websocket.", "ReservedBit", "Going Away", "unref"
      ]
    ) {
      assert.isFalse(code.includes(word), word)
    }
    assert.isTrue(code.includes("bufferedAmount"))
  })

  it("adds at most 15 KB to what it uses of Effect, and has at most 49 KB with it", async () => {
    const { code, size } = await bundle([])
    assert.isBelow(code.length, 152_000)
    assert.isBelow(size, 48_500)
    assert.isBelow(size - await effectAlone(), 15_000)
  })
})
