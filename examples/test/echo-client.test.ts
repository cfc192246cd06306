import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { onTestFinished } from "vitest"
import { run } from "./support.ts"
import { listen, type Peer, sendRaw } from "./ws.ts"

const end = (url: string) => {
  const client = run("echo-client.ts", { env: { URL: url } })
  return client.exited.then(({ code }) => ({ code, output: client.output() }))
}

describe("echo-client", { timeout: 60_000 }, () => {
  it("echoes every message and ends well when the server closes", async () => {
    const echoed: Array<string | Buffer> = []
    const url = await listen(async (peer) => {
      for (const message of ["one", Buffer.from([1, 2, 3]), "", "x".repeat(100_000)]) {
        peer.send(message)
        echoed.push(await peer.next())
      }
      peer.socket.close(1000, "enough")
    })
    assert.deepStrictEqual(await end(url), { code: 0, output: "closed: 1000 enough\n" })
    assert.deepStrictEqual(echoed, ["one", Buffer.from([1, 2, 3]), "", "x".repeat(100_000)])
  })

  it("prints a HandshakeError where it is refused", async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    onTestFinished(() => void server.close())
    server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
    const { code, output } = await end(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
    assert.strictEqual(code, 1)
    assert.match(output, /^HandshakeError: .*403/)
  })

  it("prints an IOError where nobody listens", async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const { code, output } = await end(`ws://127.0.0.1:${port}`)
    assert.strictEqual(code, 1)
    assert.match(output, /^IOError: .*Refused during connect/)
  })

  it("prints an IOError where the connection ends without a Close", async () => {
    const url = await listen((peer) => peer.socket.terminate())
    const { code, output } = await end(url)
    assert.strictEqual(code, 1)
    assert.match(output, /^IOError: /)
  })

  it("prints a ProtocolError where the server breaks a rule, and closes with its code", async () => {
    let broken: Peer | undefined
    const url = await listen((peer) => {
      broken = peer
      sendRaw(peer, Uint8Array.of(0x83, 0)) // a reserved opcode
    })
    const { code, output } = await end(url)
    assert.strictEqual(code, 1)
    assert.match(output, /^ProtocolError: .*1002/)
    assert.strictEqual((await broken!.closed).code, 1002)
  })
})
