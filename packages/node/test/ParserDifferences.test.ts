/**
 * Hostile heads, to our server and to a strict reading of the RFCs: whatever the second refuses is not upgraded. Between
 * two that read a head differently a request can be smuggled past the first one.
 */
import { assert, describe, it } from "@effect/vitest"
import { WebSocketServer } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { sampleKey } from "./support/RawPeer.ts"
import { serve } from "./support/Serve.ts"
import { judge } from "./support/StrictHead.ts"

const good = [
  "GET /chat?a=b HTTP/1.1",
  "Host: server.example.com:8080",
  "Upgrade: websocket",
  "Connection: keep-alive, Upgrade",
  `Sec-WebSocket-Key: ${sampleKey}`,
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Protocol: chat, superchat",
  "X-A: b\tc \xe9"
]

const head = (lines: ReadonlyArray<string>): string => `${lines.join("\r\n")}\r\n\r\n`

/** The status that a server answers with first; 0 where it closes without one. */
const statusOf = (port: number, text: string): Promise<number> =>
  new Promise((resolve) => {
    let got = ""
    const socket = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
    socket.on("data", (chunk: Buffer) => {
      got += chunk.toString("latin1")
      if (got.length >= 12) socket.destroy()
    })
    socket.on("error", () => {})
    socket.on("close", () => resolve(got.startsWith("HTTP/1.1 ") ? Number(got.slice(9, 12)) : 0))
    // The end tells a server that waits for more that there is none.
    socket.end(Buffer.from(text, "latin1"))
  })

/** Runs all of them, a few at a time. */
const inTurn = async <A>(items: ReadonlyArray<A>, run: (item: A) => Promise<void>): Promise<void> => {
  let next = 0
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (next < items.length) await run(items[next++])
  }))
}

const compared = Effect.fn(function*(heads: ReadonlyArray<string>) {
  const { port } = yield* serve(HttpRouter.add("*", "*", WebSocketServer.handle((ws) => ws.close(1000))))
  const upgraded: Array<string> = []
  yield* Effect.promise(() =>
    inTurn(heads, async (text) => {
      const status = await statusOf(port, text)
      if (status === 101 || status === 100) upgraded.push(text)
    })
  )
  const differences = upgraded.flatMap((text) => {
    const judgement = judge(text)
    return judgement.isUpgrade ? [] : [`${judgement.why}: ${JSON.stringify(text)}`]
  })
  assert.deepStrictEqual(differences, [])
  return upgraded
})

/** Each of the good head's lines with something done to it that proxies and servers were seen to differ about. */
const tricks: ReadonlyArray<readonly [what: string, change: (line: string, name: string, rest: string) => string]> = [
  ["a space before the colon", (_, name, rest) => `${name} :${rest}`],
  ["a tab before the colon", (_, name, rest) => `${name}\t:${rest}`],
  ["a space before the name", (line) => ` ${line}`],
  ["folded", (_, name, rest) => `${name}:\r\n${rest}`],
  ["folded by a tab", (_, name, rest) => `${name}:\r\n\t${rest}`],
  ["a bare LF before it", (line) => `X: y\n${line}`],
  ["a bare CR before it", (line) => `X: y\r${line}`],
  ["a bare LF inside", (_, name, rest) => `${name}:\n${rest}`],
  ["a bare CR at its end", (line) => `${line}\r`],
  ["two CR at its end", (line) => `${line}\r\r`],
  ["a NUL", (line) => `${line}\0`],
  ["a NUL in the name", (_, name, rest) => `${name}\0:${rest}`],
  ["a vertical tab", (_, name, rest) => `${name}:\v${rest}`],
  ["a form feed at its end", (line) => `${line}\f`],
  ["a no-break space", (_, name, rest) => `${name}:\xa0${rest}`],
  ["DEL", (line) => `${line}\x7f`],
  ["no colon", (_, name, rest) => `${name}${rest}`],
  ["twice", (line) => `${line}\r\n${line}`],
  ["twice, once in other letters", (line, name, rest) => `${line}\r\n${name.toUpperCase()}:${rest}`],
  ["twice, once empty", (line, name) => `${name}:\r\n${line}`],
  ["left out", () => ""],
  ["an empty name", (line, _, rest) => `:${rest}\r\n${line}`],
  ["quoted", (_, name, rest) => `${name}: "${rest.trim()}"`],
  ["a Kelvin sign", (line) => line.replace("k", "\xe2\x84\xaa").replace("K", "\xe2\x84\xaa")],
  ["spaces around", (_, name, rest) => `${name}: \t ${rest.trim()} \t `],
  ["no space", (_, name, rest) => `${name}:${rest.trim()}`],
  ["a comma in front", (_, name, rest) => `${name}: ,${rest}`],
  ["a comma behind", (line) => `${line},`],
  ["a semicolon behind", (line) => `${line};a=b`]
]

const known: ReadonlyArray<string> = good.slice(1).flatMap((line, i) =>
  tricks.map(([, change]) => {
    const colon = line.indexOf(":")
    const changed = change(line, line.slice(0, colon), line.slice(colon + 1))
    return head([...good.slice(0, i + 1), ...changed === "" ? [] : [changed], ...good.slice(i + 2)])
  })
)

const requestLines = [
  "GET  /chat HTTP/1.1", "GET /chat  HTTP/1.1", "GET\t/chat\tHTTP/1.1", " GET /chat HTTP/1.1", "GET /chat HTTP/1.1 ", "GET /chat HTTP/1.1\r",
  "get /chat HTTP/1.1", "GET /chat http/1.1", "GET /chat HTTP/1.0", "GET /chat HTTP/1.2", "GET /chat HTTP/2.0", "GET /chat HTTP/0.9",
  "GET /chat HTTP/01.1", "GET /chat HTTP/1.01", "GET /chat HTTP/1.1.1", "GET /chat HTTP/1,1", "GET /chat HTTP 1.1", "GET /chat HTTPS/1.1", "GET /chat ICE/1.1",
  "GET /chat RTSP/1.0", "GET /chat", "GET HTTP/1.1", "GET chat HTTP/1.1", "GET * HTTP/1.1", "GET //chat HTTP/1.1", "GET /ch at HTTP/1.1",
  "GET /chat\0 HTTP/1.1", "GET /chat\x7f HTTP/1.1", "GET /ch\xe9t HTTP/1.1", "GET /chat#a HTTP/1.1", "GET http://a/chat HTTP/1.1",
  "GET ftp://a/chat HTTP/1.1", "GET http://a b/ HTTP/1.1", "GET server.example.com:80 HTTP/1.1", "POST /chat HTTP/1.1", "CONNECT a:80 HTTP/1.1",
  "PRI * HTTP/2.0", "G\xcbT /chat HTTP/1.1", "GET /chat\nHTTP/1.1", "GET /chat HTTP/1.1\n", "\r\nGET /chat HTTP/1.1", "\nGET /chat HTTP/1.1", "\r\n\r\nGET /chat HTTP/1.1", "GET\r\n/chat HTTP/1.1"
]

const extraLines = [
  "Content-Length: 0", "Content-Length: 1", "Content-Length: +0", "Content-Length: -0", "Content-Length: 0x0", "Content-Length: 0, 0",
  "Content-Length: 0\r\nContent-Length: 0", "Content-Length: 00", "Content-Length: ", "Content_Length: 5", "Content-Length : 5", "Content-Length\t: 5",
  "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Transfer-Encoding: ", "Transfer-Encoding : chunked", "Transfer-Encoding:\r\n chunked",
  "Transfer-Encoding: x\r\nContent-Length: 0", "Transfer_Encoding: chunked", "transfer-encoding: \x0bchunked", "X: y\r\n\tTransfer-Encoding: chunked",
  "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "Expect: 100-continue", "Expect: 200-ok", "Trailer: x", "Connection: close",
  "Connection: Sec-WebSocket-Key", "Proxy-Connection: upgrade", ...Array.from({ length: 33 }, (_, code) => `X: a${String.fromCharCode(code)}b`)
]

const endings = ["\r\n\n", "\n\r\n", "\n\n", "\r\r\n", "\r\n \r\n\r\n", "\r\n\r\n\r\n", "\r\n", ""]

describe("parser differences", () => {
  it.live("what a strict reading refuses is not upgraded, by the tricks that are known", () =>
    Effect.gen(function*() {
      const upgraded = yield* compared([
        ...known,
        ...requestLines.map((line) => head([line, ...good.slice(1)])),
        ...extraLines.map((line) => head([...good, line])),
        ...endings.map((ending) => good.join("\r\n") + ending),
        ...endings.map((ending) => good.join("\n") + ending)
      ])
      assert.isAbove(upgraded.length, 30, "some are well")
    }))

  it.live("nor what is changed at random", () =>
    Effect.gen(function*() {
      let seed = 20_240_601
      const below = (n: number) => (seed = seed * 48_271 % 2_147_483_647) % n
      const pieces = ["\r", "\n", "\r\n", " ", "\t", "\0", ":", ",", ";", "\"", "\x7f", "\x80", "\xff", "a", "0", "1", "\r\n ", "\r\n\t", "\v", "/", "#", "="]
      const mutated = Array.from({ length: 1200 }, () => {
        let text = head(good.filter((_, i) => i === 0 || below(16) > 0))
        for (let n = 1 + below(3); n > 0; n--) {
          const at = below(text.length)
          const taken = below(3) === 0 ? 0 : 1 + below(2)
          text = text.slice(0, at) + (below(4) === 0 ? "" : pieces[below(pieces.length)]) + text.slice(at + taken)
        }
        return text
      })
      const upgraded = yield* compared(mutated)
      assert.isAbove(upgraded.length, 50, "some are well")
    }))
})
