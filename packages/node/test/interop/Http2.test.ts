/** A page of Chromium, whose WebSockets are streams of the session that its other requests use (RFC 8441). */
import { assert, it } from "@effect/vitest"
import { WebSocketServer } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import { createSecureServer, type ServerHttp2Session } from "node:http2"
import { launch } from "../support/Chromium.ts"
import { serve } from "../support/Serve.ts"
import { chromiumClient } from "./peers/chromium.ts"
import { withPeer } from "./withPeer.ts"

const tls = (name: string) => readFileSync(`${import.meta.dirname}/../support/tls/${name}`)
const evaluate = () =>
  createSecureServer({
    cert: tls("server.pem"),
    key: tls("server.key"),
    allowHTTP1: true,
    settings: { enableConnectProtocol: true }
  })

const start = async () => {
  const browser = await launch()
  return { browser, stop: () => browser.close() }
}

/** Echoes over three WebSockets of one page, and tells how each of them ended. */
const inPage = async (url: string): Promise<ReadonlyArray<string>> => {
  const visit = (i: number) =>
    new Promise<string>((resolve) => {
      const ws = new WebSocket(url, ["echo"])
      const got: Array<string> = []
      ws.addEventListener("open", () => {
        ws.send(`small ${i}`)
        ws.send("x".repeat(300_000))
        ws.send("bye")
      })
      ws.addEventListener("message", ({ data }) => {
        got.push(String(data).slice(0, 7), String(String(data).length))
        if (data === "bye") ws.close(4001)
      })
      ws.addEventListener("close", ({ code, wasClean }) =>
        resolve([ws.protocol, ws.extensions.slice(0, 18), ...got, code, wasClean].join(" ")))
    })
  return await Promise.all([visit(1), visit(2), visit(3)])
}

withPeer("HTTP/2", { ...chromiumClient, start }, (peer) => {
  it.live("a page's WebSockets are streams of its one session", () =>
    Effect.gen(function*() {
      const carriers = new Set<unknown>()
      const versions: Array<string> = []
      const route = WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), {
        selectSubprotocol: ["echo"],
        compression: { threshold: 0 }
      })
      const { node, port } = yield* serve(
        Layer.mergeAll(HttpRouter.add("GET", "/", HttpServerResponse.html("<p>a page")), HttpRouter.add("GET", "/echo", route)),
        { evaluate }
      )
      node.on("session", (session: ServerHttp2Session) =>
        session.on("stream", (_stream, headers) => {
          if (headers[":protocol"] === "websocket") carriers.add(session)
        }))
      node.on("upgrade", ({ httpVersion }) => versions.push(httpVersion))

      const results = yield* Effect.promise(async () => {
        const context = await peer().browser.newContext({ ignoreHTTPSErrors: true })
        const page = await context.newPage()
        await page.goto(`https://localhost:${port}/`)
        const results = await page.evaluate(inPage, `wss://localhost:${port}/echo`)
        await context.close()
        return results
      })

      const expected = (i: number) => `echo permessage-deflate small ${i} 7 xxxxxxx 300000 bye 3 4001 true`
      assert.deepStrictEqual(results, [1, 2, 3].map(expected))
      assert.deepStrictEqual(versions, [])
      assert.strictEqual(carriers.size, 1)
    }), 60_000)
})
