/** `effect-ws serve`, with clients of the `ws` package. */
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { WebSocket } from "ws"
import { later, run, serve, start } from "./support/Cli.ts"

const tls = `${import.meta.dirname}/../support/tls`

/** A client with what it received. */
const connect = async (url: string, subprotocols: Array<string> = [], options = {}) => {
  const socket = new WebSocket(url, subprotocols, options)
  const received: Array<string> = []
  const waiting: Array<() => void> = []
  socket.on("message", (data, isBinary) => {
    received.push(isBinary ? `hex ${(data as Buffer).toString("hex")}` : String(data))
    waiting.shift()?.()
  })
  const closed = new Promise<readonly [number, string]>((resolve) =>
    socket.on("close", (code, reason) => resolve([code, reason.toString()]))
  )
  later(() => socket.terminate())
  await once(socket, "open")
  const next = async (): Promise<string> => {
    if (received.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    return received.shift()!
  }
  return { socket, next, closed }
}

describe("serve", { concurrent: true, timeout: 60_000 }, () => {
  it("echoes, chooses a subprotocol, compresses, shows what happens, and closes when it is interrupted", async () => {
    const server = await serve(["--subprotocol", "b", "--compression"])
    const { closed, next, socket } = await connect(server.url, ["a", "b"])
    assert.strictEqual(socket.protocol, "b")
    assert.strictEqual(socket.extensions, "permessage-deflate")
    socket.send("hello\u001B[2J")
    assert.strictEqual(await next(), "hello\u001B[2J")
    socket.send(Buffer.from([1, 2]))
    assert.strictEqual(await next(), "hex 0102")
    await server.shows(/#1 open \/ from 127\.0\.0\.1:\d+, b, permessage-deflate\n#1 < hello\\x1b\[2J\n#1 < 2 bytes 01 02\n/)
    server.kill("SIGINT")
    assert.strictEqual((await closed)[0], 1001)
    assert.strictEqual((await server.ended).status, 130)
  })

  it("broadcasts to everybody but the sender", async () => {
    const server = await serve(["--broadcast", "--quiet"])
    const [a, b, c] = [await connect(server.url), await connect(server.url), await connect(server.url)]
    // Each handler has begun once its connection answers a ping.
    for (const { socket } of [a, b, c]) {
      socket.ping()
      await once(socket, "pong")
    }
    a.socket.send("from a")
    assert.deepStrictEqual([await b.next(), await c.next()], ["from a", "from a"])
    b.socket.send("from b")
    assert.strictEqual(await a.next(), "from b")
    assert.notInclude(server.stdout(), "from a")
  })

  it("answers as a directory says", async () => {
    const folder = mkdtempSync(join(tmpdir(), "effect-ws-"))
    later(() => rmSync(folder, { recursive: true }))
    const script = {
      subprotocols: ["v2"],
      open: [{ send: "welcome" }, { sendHex: "00ff" }],
      answers: [
        { to: "again", times: 1, do: [{ send: "once" }] },
        { to: { op: "login" }, do: [{ send: { op: "ok" } }, { ping: true, send: "behind" }] },
        { matching: "^bye", do: [{ close: 4000, reason: "see you" }] },
        { to: "cut", do: [{ send: "last words" }, { cut: true }] },
        { do: [{ wait: 1, echo: true }] }
      ]
    }
    writeFileSync(join(folder, "chat.json"), JSON.stringify(script))
    writeFileSync(join(folder, "busy.json"), JSON.stringify({ refuse: { status: 503, headers: { "retry-after": "7" } } }))
    const server = await serve(["--answers", folder])
    const chat = await connect(`${server.url}chat?token=1`, ["v1", "v2"])
    assert.strictEqual(chat.socket.protocol, "v2")
    assert.deepStrictEqual([await chat.next(), await chat.next()], ["welcome", "hex 00ff"])
    for (const text of ["again", "again", "{\"op\":\"login\",\"user\":\"me\"}"]) chat.socket.send(text)
    assert.deepStrictEqual([await chat.next(), await chat.next()], ["once", "again"])
    assert.deepStrictEqual([await chat.next(), await chat.next()], ["{\"op\":\"ok\"}", "behind"])
    for (const text of ["bye bye", "unheard"]) chat.socket.send(text)
    assert.deepStrictEqual(await chat.closed, [4000, "see you"])
    await server.shows(/Closed by this side with 4000/)
    assert.notInclude(server.stdout(), "> unheard")
    const other = await connect(`${server.url}chat`)
    other.socket.send("cut")
    assert.deepStrictEqual(await other.closed, [1006, ""])
    assert.strictEqual((await run(["connect", `${server.url}busy`])).status, 4)
    assert.match((await run(["connect", `${server.url}none`])).stderr, /404 Not Found/)
  })

  it("serves wss", async () => {
    const server = await serve(["--cert", `${tls}/server.pem`, "--key", `${tls}/server.key`])
    assert.match(server.url, /^wss:/)
    const { next, socket } = await connect(server.url, [], { ca: readFileSync(`${tls}/ca.pem`) })
    socket.send("secret")
    assert.strictEqual(await next(), "secret")
  })

  it("says why it cannot listen", async () => {
    const first = await serve()
    const port = new URL(first.url.replace("ws:", "http:")).port
    const { status, stderr } = await run(["serve", "--port", port])
    assert.strictEqual(status, 1)
    assert.match(stderr, /^Cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/)
  })

  it.each(["99999", "-1"])("knows that %s is no port", async (port) => {
    const { status, stderr } = await run(["serve", "--port", port])
    assert.strictEqual(status, 2)
    assert.include(stderr, `"${port}". Expected: a port from 0 to 65535`)
  })

  it("wants a certificate with its key", async () => {
    const program = start(["serve", "--cert", `${tls}/server.pem`])
    assert.strictEqual((await program.ended).status, 2)
  })
})
