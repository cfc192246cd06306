import { afterEach, assert, describe, it } from "@effect/vitest"
import { Buffer } from "node:buffer"
import { once } from "node:events"
import * as Net from "node:net"
import { PassThrough } from "node:stream"
import * as HandleTransport from "../src/HandleTransport.ts"

const servers: Array<Net.Server> = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Both ends of a TCP connection. */
const pair = async () => {
  const server = Net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1")
  servers.push(server)
  await once(server, "listening")
  const client = Net.connect((server.address() as Net.AddressInfo).port, "127.0.0.1")
  const [socket] = await once(server, "connection") as [Net.Socket]
  return { client, server, socket }
}

/** Collects what a transport pushes. */
const collect = () => {
  const chunks: Array<Buffer> = []
  let wake = () => {}
  const state = { closed: false }
  const change = async () => await new Promise<void>((resolve) => wake = resolve)
  return {
    handlers: {
      // Copied: the chunk is valid during the call only.
      onData: (chunk: Uint8Array) => {
        chunks.push(Buffer.from(chunk))
        wake()
      },
      onEnd: () => {},
      onTaken: () => {},
      onClosed: () => {
        state.closed = true
        wake()
      }
    },
    text: async (length: number) => {
      while (Buffer.concat(chunks).length < length) await change()
      return Buffer.concat(chunks).toString()
    },
    close: async () => {
      while (!state.closed) await change()
    }
  }
}

describe("HandleTransport", () => {
  it("reads early bytes first, then the socket, and writes", async () => {
    const { client, socket } = await pair()
    const transport = HandleTransport.take(socket, Buffer.from("early "))
    if (transport === undefined) return assert.fail("not taken over")
    assert.strictEqual(transport.chunks, "scratch")
    const seen = collect()
    transport.start(seen.handlers)
    client.write("late")
    assert.strictEqual(await seen.text(10), "early late")
    transport.write([Buffer.from("an"), Buffer.from("swer")])
    const [answer] = await once(client, "data") as [Buffer]
    assert.strictEqual(answer.toString(), "answer")
    transport.destroy()
    await seen.close()
  })

  it("two connections share the read buffer and do not mix", async () => {
    const [first, second] = [await pair(), await pair()]
    const readers = [first, second].map(({ socket }) => {
      const seen = collect()
      const transport = HandleTransport.take(socket, undefined)!
      transport.start(seen.handlers)
      return { ...seen, transport }
    })
    first.client.write("a".repeat(100_000))
    second.client.write("b".repeat(100_000))
    assert.strictEqual(await readers[0]!.text(100_000), "a".repeat(100_000))
    assert.strictEqual(await readers[1]!.text(100_000), "b".repeat(100_000))
    for (const { transport } of readers) transport.destroy()
    await Promise.all(readers.map((reader) => reader.close()))
  })

  it("a server still counts the connection, until it is gone", async () => {
    const { server, socket } = await pair()
    const transport = HandleTransport.take(socket, undefined)!
    const seen = collect()
    transport.start(seen.handlers)
    const count = async () =>
      await new Promise<number>((resolve) => server.getConnections((_, connections) => resolve(connections)))
    assert.strictEqual(await count(), 1)
    transport.destroy()
    await seen.close()
    assert.strictEqual(await count(), 0)
  })

  it("leaves alone what it cannot take over", async () => {
    assert.isUndefined(HandleTransport.take(new PassThrough(), undefined))
    const { client, socket } = await pair()
    // As on a Node whose handles are made differently.
    const handle: unknown = Reflect.get(socket, "_handle")
    Object.assign(handle as object, { useUserBuffer: undefined })
    assert.isUndefined(HandleTransport.take(socket, undefined))
    socket.resume()
    client.write("still there")
    const [chunk] = await once(socket, "data") as [Buffer]
    assert.strictEqual(chunk.toString(), "still there")
    client.destroy()
    socket.destroy()
  })
})
