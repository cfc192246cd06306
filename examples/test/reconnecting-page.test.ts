/** A client that comes back, and a contract, on the WebSocket of a real browser. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import type { Page } from "playwright-core"
import { onTestFinished } from "vitest"
import { type WebSocket, WebSocketServer } from "ws"
import { bundle } from "../page/bundle.ts"
import { launch, open } from "./browser.ts"

let script: Promise<string> | undefined

/** Serves the page, and its socket: `serve` is given each connection and its number, from 1. */
const site = async (serve: (socket: WebSocket, connection: number, token: string) => void) => {
  script ??= Effect.runPromise(bundle(fileURLToPath(new URL("page/reconnecting.ts", import.meta.url))))
  const code = await script
  let connections = 0
  const start = async (port = 0) => {
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false })
    const server: Server = createServer((request, response) => {
      const isScript = request.url === "/page.js"
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html")
      response.end(isScript ? code : "<!doctype html><title>t</title><ol></ol><script type=module src=/page.js></script>")
    })
    server.on("upgrade", (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (ws) => {
        const connection = ++connections
        ws.once("message", (data: Buffer) => serve(ws, connection, (JSON.parse(data.toString()) as { token: string }).token))
      }))
    server.listen(port, "127.0.0.1")
    await once(server, "listening")
    const stop = async () => {
      for (const socket of sockets.clients) socket.terminate()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
    return { stop, port: (server.address() as AddressInfo).port }
  }
  let running = await start()
  onTestFinished(() => running.stop())
  return {
    url: `http://127.0.0.1:${running.port}/`,
    stop: () => running.stop(),
    restart: async () => {
      running = await start(running.port)
    },
    connections: () => connections
  }
}

const line = (page: Page, text: string | RegExp) => page.getByRole("listitem").filter({ hasText: text })

describe("a client that comes back, in a browser", { timeout: 60_000 }, () => {
  it("finds its server again after it was killed", async (context) => {
    const { restart, stop, url } = await site((socket, connection) => socket.send(`{"n":${connection}}`))
    const { page } = await open(await launch(context), url)
    await line(page, "tick 1").waitFor()
    await stop()
    await line(page, /^waiting until/).first().waitFor()
    await restart()
    await line(page, "tick 2").waitFor()
    assert.strictEqual(await line(page, "tick 1").count(), 1)
  })

  it("reads 4401 as 401: one attempt with fresh credentials, and then the end", async (context) => {
    const tokens: Array<string> = []
    const { connections, url } = await site((socket, _, token) => {
      tokens.push(token)
      socket.close(4401, "expired")
    })
    const { page } = await open(await launch(context), url)
    await line(page, "gave up: ConnectionClosed").waitFor()
    assert.deepStrictEqual([connections(), tokens], [2, ["1", "2"]])
  })

  it("reads 4403 as 403, and ends", async (context) => {
    const { connections, url } = await site((socket) => socket.close(4403, "no"))
    const { page } = await open(await launch(context), url)
    await line(page, "gave up: ConnectionClosed").waitFor()
    assert.strictEqual(connections(), 1)
  })

  it("closes for a bad message, with the path and without its content", async (context) => {
    const closed: Array<{ readonly code: number; readonly reason: string }> = []
    const { url } = await site((socket) => {
      socket.on("close", (code, reason) => closed.push({ code, reason: reason.toString() }))
      socket.send(`{"n":1}`)
      socket.send(`{"n":"secret"}`)
    })
    const { page } = await open(await launch(context), url)
    await line(page, "gave up: InvalidMessage").waitFor()
    assert.strictEqual(await line(page, "tick 1").count(), 1)
    while (closed.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    // A page sends 1000 and 3000 to 4999 only.
    assert.deepStrictEqual(closed, [{ code: 4008, reason: "invalid value at n" }])
  })

  it("gives up a server that says nothing any more", async (context) => {
    const { url } = await site((socket, connection) => socket.send(`{"n":${connection}}`))
    const { page } = await open(await launch(context), `${url}?silence=1000`)
    await line(page, /^waiting until .*maxSilence/).first().waitFor()
    await line(page, "tick 2").waitFor()
  })

  it("does not wait any longer when the browser comes online", async (context) => {
    const { restart, stop, url } = await site((socket, connection) => socket.send(`{"n":${connection}}`))
    const { page } = await open(await launch(context), url)
    await line(page, "tick 1").waitFor()
    await stop()
    // Away until a wait has more than two seconds left.
    const until = await page.waitForFunction(() => {
      const last = document.querySelector("li:last-child")?.textContent ?? ""
      const until = Date.parse(/^waiting until (\S+Z)/.exec(last)?.[1] ?? "")
      return until > Date.now() + 2000 ? until : undefined
    }, undefined, { polling: 20 })
    await restart()
    await page.evaluate(() => dispatchEvent(new Event("online")))
    await line(page, "tick 2").waitFor()
    const opened = await line(page, /^open since/).last().innerText()
    assert.isBelow(Date.parse(opened.replace("open since ", "")), Number(await until.jsonValue()))
  })
})
