import { assert, describe, it } from "@effect/vitest"
import { serve } from "./support.ts"
import { connect } from "./ws.ts"

describe("broadcast-server", { timeout: 60_000 }, () => {
  it("sends what one client sends to all of them, in order", async () => {
    const { url } = await serve("broadcast-server.ts")
    const peers = await Promise.all([connect(url), connect(url), connect(url)])
    const messages = Array.from({ length: 100 }, (_, i) => i % 2 === 0 ? `text ${i}` : Buffer.from([i]))
    for (const message of messages) peers[0].send(message)
    for (const peer of peers) {
      for (const message of messages) assert.deepStrictEqual(await peer.next(), message)
    }
    peers[2].socket.close()
    await peers[2].closed
    peers[1].send("still there?")
    assert.strictEqual(await peers[0].next(), "still there?")
  })

  it("is not held up by a client that does not read", async () => {
    const { url } = await serve("broadcast-server.ts")
    const [sender, lazy] = await Promise.all([connect(url), connect(url)])
    lazy.socket.pause()
    // 30 MiB in all: more than the sockets on the way and 4096 waiting messages hold.
    const batch = 500
    const padding = "x".repeat(1024)
    const total = 30_000
    for (let sent = 0; sent < total; sent += batch) {
      for (let i = sent; i < sent + batch; i++) sender.send(`${i} ${padding}`)
      for (let i = sent; i < sent + batch; i++) assert.strictEqual(await sender.next(), `${i} ${padding}`)
    }
    // Listeners it reads again it hears the newest messages, though not all of them.
    lazy.socket.resume()
    let heard = 0
    let newest = -1
    while (newest < total - 1) {
      newest = Number.parseInt(String(await lazy.next()), 10)
      heard++
    }
    assert.isTrue(heard < total, `${heard} messages were kept for it`)
  })
})
