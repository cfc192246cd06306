import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { setTimeout } from "node:timers/promises"
import { onTestFinished } from "vitest"
import { WebSocket } from "ws"
import { serve } from "./support.ts"
import { Peer } from "./ws.ts"

/** A connection, and the process that serves it. */
const connect = async (url: string) => {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  onTestFinished(() => socket.terminate())
  const peer = new Peer(socket)
  const [[response]] = await Promise.all([once(socket, "upgrade"), once(socket, "open")])
  return { peer, worker: Number(response.headers["x-worker"]) }
}

const answers = async ({ peer }: { readonly peer: Peer }, text: string) => {
  peer.send(text)
  assert.strictEqual(await peer.next(), text)
}

const workersOf = (clients: ReadonlyArray<{ readonly worker: number }>) => new Set(clients.map(({ worker }) => worker))

/** Connects until so many processes serve: one may still start, and the system may choose another several times. */
const connectTo = async (url: string, workers: number) => {
  const clients: Array<{ readonly peer: Peer; readonly worker: number }> = []
  const giveUp = Date.now() + 30_000
  while (workersOf(clients).size < workers && Date.now() < giveUp) {
    if (clients.length > 0) await setTimeout(30)
    clients.push(await connect(url))
  }
  assert.strictEqual(workersOf(clients).size, workers)
  return clients
}

const freePort = async (): Promise<string> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return String(port)
}

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

describe("cluster-server", { timeout: 60_000 }, () => {
  for (const reusePort of [false, true]) {
    const how = reusePort ? "REUSE_PORT" : "connections handed out in turn"

    it(`all workers serve; where one is killed the others go on, and it is replaced (${how})`, async (context) => {
      if (reusePort && (process.platform !== "linux" || major < 23 || (major === 23 && minor < 1))) {
        context.skip("reusePort needs Linux, and Node 23.1 or later")
      }
      const { kill, exited, url, waitFor } = await serve("cluster-server.ts", {
        WORKERS: "2",
        ROUNDS: "3",
        ...reusePort && { REUSE_PORT: "true", PORT: await freePort() }
      })
      const clients = await connectTo(url, 2)
      for (const client of clients) await answers(client, "hello")

      const [victim] = workersOf(clients)
      process.kill(victim!, "SIGKILL")
      for (const client of clients) {
        if (client.worker === victim) assert.strictEqual((await client.peer.closed).code, 1006)
        else await answers(client, "still there?")
      }
      await waitFor(/a worker ended \(SIGKILL\); another one takes its place/)
      const later = await connectTo(url, 2)
      assert.isFalse(workersOf(later).has(victim!))
      for (const client of later) await answers(client, "and now?")

      // In order: every client gets a Close, every worker ends, and then the first process.
      kill("SIGTERM")
      const open = [...clients, ...later].filter(({ worker }) => worker !== victim)
      for (const { peer } of open) assert.strictEqual((await peer.closed).code, 1001)
      assert.deepStrictEqual(await exited, { code: 130, signal: null })
      for (const worker of workersOf(later)) assert.throws(() => process.kill(worker, 0), /ESRCH/)
    })
  }

  it("the limit is one of all workers together", async () => {
    const { url } = await serve("cluster-server.ts", { WORKERS: "2", MAX_CONNECTIONS: "4" })
    // One after the other: of several at once the worker that is free sooner may get more.
    const clients = []
    for (let i = 0; i < 4; i++) clients.push(await connect(url))
    assert.strictEqual(workersOf(clients).size, 2)
    const refused = new WebSocket(url)
    refused.on("error", () => {})
    const [, response] = await once(refused, "unexpected-response")
    assert.strictEqual(response.statusCode, 503)
  })
})
