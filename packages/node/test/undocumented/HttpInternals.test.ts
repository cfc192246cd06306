/** What Node's HTTP server can do beyond its documentation: that it still does. */
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { createServer, IncomingMessage, ServerResponse } from "node:http"
import { type AddressInfo, connect, Socket } from "node:net"
import type { Duplex } from "node:stream"
import { text } from "node:stream/consumers"
import * as HttpInternals from "../../src/undocumented/HttpInternals.ts"

const listen = async (server: ReturnType<typeof createServer>): Promise<number> => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

describe("HttpInternals", () => {
  it("a response writes to the socket of an upgrade until it is detached", async () => {
    const server = createServer().on("upgrade", (message, socket: Duplex) => {
      const response = new ServerResponse(message)
      HttpInternals.attach(response, socket)
      response.shouldKeepAlive = false
      response.statusCode = 418
      response.end("no", () => {
        HttpInternals.detach(response, socket)
        HttpInternals.detach(response, socket)
        assert.isNull(response.socket)
        socket.end(" behind")
      })
    })
    const client = connect(await listen(server), "127.0.0.1")
    client.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
    const answer = await text(client)
    server.close()
    assert.match(answer, /^HTTP\/1\.1 418 /)
    assert.match(answer, /\r\n\r\nno behind$/)
  })

  it("a response that is ended unwritten takes no more, and sent no head", () => {
    const response = new ServerResponse(new IncomingMessage(new Socket()))
    HttpInternals.endUnwritten(response)
    assert.deepStrictEqual([response.writableEnded, response.headersSent], [true, false])
  })

  it("a head that is late is cut within a second or two", async () => {
    const server = createServer()
    server.headersTimeout = 100
    HttpInternals.checkHeadsOften(server)
    const client = connect(await listen(server), "127.0.0.1")
    client.write("GET / HTTP/1.1\r\n")
    const answer = await text(client)
    server.close()
    assert.match(answer, /^HTTP\/1\.1 408 /)
  })
})
