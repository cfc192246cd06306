import { assert, describe, it } from "@effect/vitest"
import { NodeSocketServer } from "@effect-ws/node"
import { type DevToolsSchema, DevToolsServer } from "effect/devtools"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Queue from "effect/Queue"
import { SocketServer } from "effect/socket"
import { onTestFinished, vi } from "vitest"
import { serve } from "./support.ts"
import { connect } from "./ws.ts"

/** Reads the page; its values by name and labels. */
const read = async (url: string) => {
  const response = await fetch(`${url}/metrics`)
  assert.strictEqual(response.status, 200)
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
  const page = await response.text()
  const values = new Map<string, number>()
  for (const line of page.split("\n")) {
    if (line === "" || line.startsWith("#")) continue
    const at = line.lastIndexOf(" ")
    values.set(line.slice(0, at), Number(line.slice(at + 1)))
  }
  return { page, values }
}

/** Reads the page until it says so. */
const reads = async (url: string, line: string, value: number) => {
  const giveUp = Date.now() + 10_000
  for (;;) {
    const { page, values } = await read(url)
    if (values.get(line) === value) return values
    assert.isBelow(Date.now(), giveUp, `no ${line} ${value} in\n${page}`)
  }
}

const role = `websocket_role="server"`

/** Effect's DevTools, on a free port; gives the spans and the ids of the metrics that they were sent. */
const devTools = async () => {
  const seen = { spans: new Map<string, DevToolsSchema.Span>(), metrics: new Set<string>() }
  const listen = DevToolsServer.run((client) =>
    Effect.forever(Effect.gen(function*() {
      const request = yield* Queue.take(client.queue)
      if (request._tag === "Span") {
        seen.spans.set(request.name, request)
        if (request.status._tag === "Ended") yield* client.send({ _tag: "MetricsRequest" })
      } else if (request._tag === "MetricsSnapshot") {
        for (const { id } of request.metrics) seen.metrics.add(id)
      }
    }))
  )
  const runtime = ManagedRuntime.make(NodeSocketServer.layerWebSocket({ host: "127.0.0.1", port: 0 }))
  onTestFinished(() => runtime.dispose())
  const server = await runtime.runPromise(SocketServer.SocketServer)
  runtime.runFork(listen)
  const { address } = server
  return { seen, url: `ws://127.0.0.1:${"port" in address ? address.port : 0}` }
}

describe("metrics-server", { timeout: 60_000 }, () => {
  it("shows Prometheus and DevTools what its connections do, and keeps to its environment", async () => {
    const tools = await devTools()
    const { url } = await serve("metrics-server.ts", {
      DEVTOOLS: tools.url,
      WEBSOCKET_MAX_CONNECTIONS: "3",
      WEBSOCKET_MAX_MESSAGE_SIZE: "10 B"
    })
    const echo = `${url.replace("http", "ws")}/echo`
    const peers = await Promise.all([1, 2, 3].map(() => connect(echo)))
    assert.match(await connect(echo).then(() => "served", String), /503/)
    for (const peer of peers) peer.send("hello")
    for (const peer of peers) await peer.next()
    const open = await reads(url, `websocket_active_connections{${role}}`, 3)
    assert.strictEqual(open.get(`websocket_messages{${role},network_io_direction="receive"}`), 3)
    assert.strictEqual(open.get(`websocket_messages{${role},network_io_direction="transmit"}`), 3)
    assert.strictEqual(open.get(`websocket_io{${role},network_io_direction="receive"}`), 3 * (6 + 5))
    assert.strictEqual(open.get(`websocket_io{${role},network_io_direction="transmit"}`), 3 * (2 + 5))
    assert.strictEqual(open.get(`websocket_handshake_failures{${role},key="TooManyConnections"}`), 1)

    peers[0].socket.close(4001)
    peers[1].socket.terminate()
    peers[2].send("x".repeat(11))
    assert.strictEqual((await peers[2].closed).code, 1009)
    const closed = await reads(url, `websocket_active_connections{${role}}`, 0)
    assert.strictEqual(closed.get(`websocket_connections{${role}}`), 3)
    for (const code of [4001, 1006, 1009]) {
      assert.strictEqual(closed.get(`websocket_close_codes{${role},key="${code}"}`), 1)
    }
    assert.strictEqual(closed.get(`websocket_connection_duration_count{${role}}`), 3)

    await vi.waitFor(() => assert.isTrue(tools.seen.metrics.has("websocket.active_connections")), { timeout: 10_000 })
    const span = tools.seen.spans.get("websocket.server")
    assert.strictEqual(span?.attributes.get("url.path"), "/echo")
    assert.strictEqual(span?.attributes.get("websocket.role"), "server")
  })
})
