import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { onTestFinished } from "vitest"
import { WebSocketServer } from "ws"
import { run } from "./support.ts"

/** A feed that can be taken down and up again on one port. */
const feed = async () => {
  let port = 0
  let server: WebSocketServer | undefined
  const up = async (...messages: ReadonlyArray<string | Uint8Array>) => {
    server = new WebSocketServer({ port, host: "127.0.0.1" })
    server.on("connection", (socket) => {
      for (const message of messages) socket.send(message)
    })
    await once(server, "listening")
    ;({ port } = server.address() as AddressInfo)
  }
  /** As a process that is killed, or one that says goodbye. */
  const down = async (how: "killed" | 1001) => {
    const closed = new Promise((resolve) => server?.close(resolve))
    for (const socket of server?.clients ?? []) how === "killed" ? socket.terminate() : socket.close(how)
    await closed
  }
  onTestFinished(() => down("killed"))
  return { up, down, url: () => `ws://127.0.0.1:${port}` }
}

const statuses = (output: string) => output.split("\n").filter((line) => line.startsWith("# status "))

describe("feed-client", { timeout: 60_000 }, () => {
  it("prints every message as a line, comes back after each restart, and tells each status", async () => {
    const { down, up, url } = await feed()
    await up("one", "two", Uint8Array.of(1, 2, 3))
    const client = run("feed-client.ts", { env: { URL: url() } })
    await client.waitFor(/^one\ntwo\n3 bytes$/m)
    for (const [restart, how] of (["killed", 1001, "killed"] as const).entries()) {
      await down(how)
      await client.waitFor(new RegExp(`(# status waiting until .*[^]*){${restart + 1}}`))
      await up(`after ${restart}`)
      await client.waitFor(new RegExp(`^after ${restart}$`, "m"))
    }
    const seen = statuses(client.output())
    assert.match(seen[0], /^# status connecting, attempt 1$/)
    assert.match(seen[1], /^# status open since \d{4}-/)
    assert.match(seen[2], /^# status waiting until \d{4}-.*: .+/)
    assert.match(seen[3], /^# status connecting, attempt 2: .+/)
    assert.lengthOf(client.output().split("\n").filter((line) => line.startsWith("after ")), 3)
    client.kill("SIGTERM")
    await client.exited
  })

  it("does not go on against a refusal that stays one, and does not end by itself", async () => {
    let asked = 0
    const server: Server = createServer().listen(0, "127.0.0.1")
    onTestFinished(() => void server.close())
    await once(server, "listening")
    server.on("upgrade", (_, socket) => {
      asked++
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    })
    const client = run("feed-client.ts", { env: { URL: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` } })
    await client.waitFor(/^# status ended: .*403/m)
    assert.strictEqual(asked, 1)
    assert.strictEqual(await Promise.race([client.exited.then(() => "ended"), Promise.resolve("runs")]), "runs")
    client.kill("SIGINT")
    await client.exited
  })
})
