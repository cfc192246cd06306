/** TLS sockets that read into the shared buffer, and what is read in another way. */
import { afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import type { Transport } from "@effect-ws/core"
import { NodeTransport } from "@effect-ws/node"
import { Buffer } from "node:buffer"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import type * as Net from "node:net"
import { duplexPair } from "node:stream"
import * as Tls from "node:tls"
import * as SharedReads from "../../src/undocumented/SharedReads.ts"
import * as SocketProbe from "../../src/undocumented/SocketProbe.ts"

const file = (name: string) => readFileSync(new URL(`../support/tls/${name}`, import.meta.url))
const closing: Array<() => unknown> = []

afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** Both ends of a TLS connection. */
const pair = async () => {
  const server = Tls.createServer({ cert: file("server.pem"), key: file("server.key"), allowHalfOpen: true })
  server.listen(0, "127.0.0.1")
  closing.push(() => server.close())
  await once(server, "listening")
  const { port } = server.address() as Net.AddressInfo
  const client = Tls.connect({ port, host: "127.0.0.1", ca: file("ca.pem"), servername: "localhost" })
  const [socket] = await once(server, "secureConnection") as [Tls.TLSSocket]
  closing.push(() => client.destroy(), () => socket.destroy())
  return { client, socket }
}

/** What a transport told, chunks copied. */
class Seen implements Transport.TransportHandlers {
  chunks: Array<Buffer> = []
  events: Array<string> = []
  private wake = () => {}
  onData(chunk: Uint8Array) {
    this.chunks.push(Buffer.from(chunk))
    this.wake()
  }
  onEnd() {
    this.events.push("end")
    this.wake()
  }
  onTaken() {}
  onClosed() {
    this.events.push("closed")
    this.wake()
  }
  get text() {
    return Buffer.concat(this.chunks).toString("latin1")
  }
  async until(holds: () => boolean) {
    while (!holds()) await new Promise<void>((resolve) => this.wake = resolve)
  }
}

describe("SharedReads", () => {
  // Also where the process was started with documented interfaces only.
  beforeAll(() => SocketProbe.run())

  it("reads TLS into one buffer for all, which nobody mixes up, behind what came early", async () => {
    const [first, second] = [await pair(), await pair()]
    const readers = [first, second].map(({ client, socket }, i) => {
      const seen = new Seen()
      const transport = NodeTransport.fromDuplex(socket, Buffer.from(`early ${i} `))
      assert.strictEqual(transport.chunks, "scratch")
      transport.start(seen)
      client.write(`${i}`.repeat(200_000))
      return seen
    })
    for (const [i, seen] of readers.entries()) {
      await seen.until(() => seen.text.length === 200_008)
      assert.strictEqual(seen.text, `early ${i} ${`${i}`.repeat(200_000)}`)
    }
  })

  it("stops where it is paused, loses nothing, and tells of the end", async () => {
    const { client, socket } = await pair()
    const seen = new Seen()
    const transport = NodeTransport.fromDuplex(socket)
    const onData = seen.onData.bind(seen)
    // Paused within the first read: not one more may come.
    seen.onData = (chunk) => {
      onData(chunk)
      transport.pause()
    }
    transport.start(seen)
    client.end("x".repeat(500_000))
    await seen.until(() => seen.chunks.length === 1)
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    assert.strictEqual(seen.chunks.length, 1)
    assert.deepStrictEqual(seen.events, [])
    seen.onData = onData
    transport.resume()
    await seen.until(() => seen.events.length > 0)
    assert.strictEqual(seen.text, "x".repeat(500_000))
    assert.deepStrictEqual(seen.events, ["end"])
    transport.destroy()
    await seen.until(() => seen.events.length > 1)
    assert.deepStrictEqual(seen.events, ["end", "closed"])
  })

  it("tells of the end behind what one read brought together with it, and copies what it keeps", async () => {
    const { client, socket } = await pair()
    const seen = new Seen()
    const transport = NodeTransport.fromDuplex(socket)
    const onData = seen.onData.bind(seen)
    seen.onData = (chunk) => {
      onData(chunk)
      transport.pause()
    }
    transport.start(seen)
    // Several records, no two alike, and the end.
    const text = Array.from({ length: 60 }, (_, i) => String.fromCharCode(65 + i).repeat(1000)).join("")
    client.end(text)
    await seen.until(() => seen.chunks.length === 1)
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    assert.deepStrictEqual(seen.events, [])
    seen.onData = onData
    transport.resume()
    await seen.until(() => seen.events.length > 0)
    assert.strictEqual(seen.text, text)
    assert.deepStrictEqual(seen.events, ["end"])
  })

  it("keeps what comes between its making and its start", async () => {
    const { client, socket } = await pair()
    const transport = NodeTransport.fromDuplex(socket, Buffer.from("early "))
    client.write("between ")
    while (socket.readableLength === 0) await new Promise(setImmediate)
    const seen = new Seen()
    transport.start(seen)
    client.write("behind")
    await seen.until(() => seen.text.length === 20)
    assert.strictEqual(seen.text, "early between behind")
  })

  it("leaves streams of other kinds alone, and sockets of which something waits to be read", async () => {
    const [stream] = duplexPair()
    assert.isFalse(SharedReads.canShare(stream))
    // What one end wrote the other end gets as it is: not to be written to.
    assert.strictEqual(NodeTransport.fromDuplex(stream).chunks, "borrowed")
    const { client, socket } = await pair()
    client.write("waiting")
    await once(socket, "readable")
    assert.isAbove(socket.readableLength, 0)
    assert.isFalse(SharedReads.canShare(socket))
    const seen = new Seen()
    NodeTransport.fromDuplex(socket).start(seen)
    await seen.until(() => seen.text === "waiting")
  })
})
