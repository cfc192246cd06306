import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import * as Http2 from "node:http2"
import { fileURLToPath } from "node:url"
import { onTestFinished } from "vitest"
import { WebSocket } from "ws"
import { serve } from "./support.ts"
import { connect } from "./ws.ts"

describe("echo-server", { timeout: 60_000 }, () => {
  it("echoes text as text and binary as binary", async () => {
    const { output, port, url } = await serve("echo-server.ts")
    assert.strictEqual(output(), `listening on ws://127.0.0.1:${port}\n`)
    const peer = await connect(url)
    for (const message of ["hello", "", "ünïcödé 🦊", "x".repeat(300_000)]) {
      peer.send(message)
      assert.strictEqual(await peer.next(), message)
    }
    for (const message of [Buffer.from([0, 255, 128]), Buffer.alloc(0), Buffer.alloc(300_000, 7)]) {
      peer.send(message)
      assert.deepStrictEqual(await peer.next(), message)
    }
    peer.socket.close(1000, "bye")
    assert.strictEqual((await peer.closed).code, 1000)
  })

  it("serves clients beside each other", async () => {
    const { url } = await serve("echo-server.ts")
    const peers = await Promise.all(Array.from({ length: 50 }, () => connect(url)))
    for (const [i, peer] of peers.entries()) peer.send(`${i}`)
    assert.deepStrictEqual(await Promise.all(peers.map((peer) => peer.next())), peers.map((_, i) => `${i}`))
  })

  it("sends what one says to all with MODE=broadcast", async () => {
    const { url } = await serve("echo-server.ts", { MODE: "broadcast" })
    const peers = await Promise.all(Array.from({ length: 5 }, () => connect(url)))
    for (let i = 0; i < 3; i++) peers[0]!.send(`${i}`)
    for (const peer of peers) {
      for (let i = 0; i < 3; i++) assert.strictEqual(await peer.next(), `${i}`)
    }
  })

  it("takes its limit from MAX_MESSAGE_SIZE", async () => {
    const { url } = await serve("echo-server.ts", { MAX_MESSAGE_SIZE: "1000" })
    const peer = await connect(url)
    peer.send("x".repeat(900))
    assert.strictEqual(await peer.next(), "x".repeat(900))
    peer.send("x".repeat(1001))
    assert.strictEqual((await peer.closed).code, 1009)
  })

  it("refuses a MAX_MESSAGE_SIZE that is no number", async () => {
    const refused = await serve("echo-server.ts", { MAX_MESSAGE_SIZE: "many" }).then(() => "served", String)
    assert.match(refused, /MAX_MESSAGE_SIZE/)
  })

  it("answers what is no WebSocket with 426, and other paths with 404", async () => {
    const { url } = await serve("echo-server.ts")
    assert.strictEqual((await fetch(url.replace("ws:", "http:"))).status, 426)
    assert.strictEqual((await fetch(`${url.replace("ws:", "http:")}/elsewhere`)).status, 404)
  })

  it("tells everybody 1001 when it is told to stop", async () => {
    const server = await serve("echo-server.ts")
    const peers = await Promise.all([connect(server.url), connect(server.url)])
    server.kill("SIGTERM")
    for (const peer of peers) assert.strictEqual((await peer.closed).code, 1001)
    // 130 is how `runMain` says that it was interrupted.
    assert.deepStrictEqual(await server.exited, { code: 130, signal: null })
  })

  it("serves wss with TLS_CERT and TLS_KEY", async () => {
    const folder = new URL("../../packages/node/test/support/tls/", import.meta.url)
    const file = (name: string) => fileURLToPath(new URL(name, folder))
    const env = { TLS_CERT: file("server.pem"), TLS_KEY: file("server.key") }
    const { output, port } = await serve("echo-server.ts", env)
    assert.strictEqual(output(), `listening on wss://127.0.0.1:${port}\n`)
    const socket = new WebSocket(`wss://localhost:${port}`, { ca: readFileSync(file("ca.pem")) })
    onTestFinished(() => socket.terminate())
    await once(socket, "open")
    socket.send("hello")
    const [data] = await once(socket, "message")
    assert.strictEqual(String(data), "hello")
  })

  it("serves WebSockets over HTTP/2 with HTTP2=true, with TLS and without", async () => {
    const folder = new URL("../../packages/node/test/support/tls/", import.meta.url)
    const file = (name: string) => fileURLToPath(new URL(name, folder))
    const tls = { TLS_CERT: file("server.pem"), TLS_KEY: file("server.key") }
    for (const [scheme, env] of [["https", { ...tls, HTTP2: "true" }], ["http", { HTTP2: "true" }]] as const) {
      const { port } = await serve("echo-server.ts", env)
      const session = Http2.connect(`${scheme}://localhost:${port}`, { ca: readFileSync(file("ca.pem")) })
      onTestFinished(() => session.destroy())
      await once(session, "remoteSettings")
      const stream = session.request(
        { ":method": "CONNECT", ":protocol": "websocket", ":path": "/", "sec-websocket-version": "13" },
        { endStream: false }
      )
      const [head] = await once(stream, "response")
      assert.strictEqual(head[":status"], 200)
      // A masked text "hi", and its echo.
      stream.write(Uint8Array.of(0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69))
      const [chunk] = await once(stream, "data")
      assert.deepStrictEqual([...chunk], [0x81, 2, 0x68, 0x69])
    }
  })

  it("does not fall back to ws where TLS_KEY is missing", async () => {
    const env = { TLS_CERT: fileURLToPath(import.meta.url) }
    const refused = await serve("echo-server.ts", env).then(() => "served", String)
    assert.match(refused, /TLS_KEY/)
  })

  it("lets no page of another host connect", async () => {
    const { url } = await serve("echo-server.ts")
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const socket = new WebSocket(url, { origin: "https://evil.example" })
      socket.on("unexpected-response", (_, response) => resolve(response.statusCode))
      socket.on("open", () => reject(new Error("it was let in")))
      socket.on("error", reject)
    })
    assert.strictEqual(status, 403)
  })
})
