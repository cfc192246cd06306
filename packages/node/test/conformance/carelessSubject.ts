/** An echo server with one flaw of choice, to see that the suite notices each. It shares the suite's frames only. */
import { once } from "node:events"
import * as Net from "node:net"
import { acceptUpgrade } from "../../src/conformance/Peer.ts"
import type { ServerSubject } from "../../src/conformance/Runner.ts"
import { Binary, Close, closePayload, encode, type Event, FrameReader, Pong, Text } from "../../src/conformance/wire/Frames.ts"

export type Flaw =
  | "none"
  /** Takes every frame, whatever is wrong with it. */
  | "tolerant"
  /** Drops TCP at a violation, without Close. */
  | "silent"
  /** Closes with 1011 at a violation. */
  | "wrong code"
  | "masks"
  | "reserved bits"
  | "corrupts"
  | "forgets pongs"
  /** Answers pings and messages after Close. */
  | "talks on"
  /** Never ends TCP. */
  | "lingers"
  /** Closes when the first message arrives. */
  | "hasty"
  /** Closes with 1007 when so many chunks have arrived: right for 6.4 at the second, too early at the first. */
  | "1007 at chunk 1"
  | "1007 at chunk 2"

const serve = (socket: Net.Socket, early: Buffer, flaw: Flaw): void => {
  let closed = false
  const send = (opcode: number, payload: Uint8Array) => {
    if (closed && flaw !== "talks on") return
    socket.write(encode([{ opcode, payload, rsv: flaw === "reserved bits" ? 4 : 0 }], flaw === "masks"))
  }
  const end = (payload: Uint8Array) => {
    if (closed) return
    send(Close, payload)
    closed = true
    // Whoever talks on must still be able to.
    if (flaw !== "lingers") setTimeout(() => socket.end(), flaw === "talks on" ? 50 : 0)
  }
  const onEvent = (event: Event) => {
    switch (event._tag) {
      case "Message":
        if (flaw === "hasty") return end(closePayload(1000))
        if (flaw === "corrupts" && event.payload.length > 0) event.payload[0]! ^= 1
        return send(event.binary ? Binary : Text, event.payload)
      case "Ping":
        return flaw === "forgets pongs" ? undefined : send(Pong, event.payload)
      case "Pong":
        return
      case "Close":
        return end(closePayload(event.code === 0 ? 1000 : event.code))
    }
  }
  const onFault = (fault: string) => {
    if (flaw === "tolerant" || closed) return
    if (flaw === "silent") {
      closed = true
      socket.destroy()
      return
    }
    end(closePayload(flaw === "wrong code" ? 1011 : fault.includes("UTF-8") ? 1007 : 1002))
  }
  const reader = new FrameReader(true, onEvent, onFault)
  let chunks = 0
  socket.on("data", (chunk: Buffer) => {
    chunks++
    if (flaw === `1007 at chunk ${chunks}`) end(closePayload(1007))
    reader.push(chunk)
  })
  if (early.length > 0) reader.push(early)
  socket.resume()
}

/** A TCP server that leaves each connection to `serve`. */
export const tcpServer = async (
  serve: (socket: Net.Socket) => Promise<void>
): Promise<ServerSubject & { readonly close: () => void }> => {
  const sockets = new Set<Net.Socket>()
  const server = Net.createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined)
    socket.on("close", () => sockets.delete(socket))
    serve(socket).catch(() => undefined)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as Net.AddressInfo
  const close = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { url: `ws://127.0.0.1:${port}/`, close }
}

export const carelessServer = (flaw: Flaw) =>
  tcpServer(async (socket) => {
    const { early } = await acceptUpgrade(socket, 5_000)
    serve(socket, early, flaw)
  })
