/** `effect-ws connect`, in pipes and in a terminal, with the server of `effect-ws serve` and with wrong ones. */
import { type Message, WebSocketError, WebSocketServer } from "@effect-ws/core"
import { TestServer } from "@effect-ws/core/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { once } from "node:events"
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeAll } from "vitest"
import { type WebSocket, WebSocketServer as WsServer } from "ws"
import { send } from "../../src/cli/connect/Connect.ts"
import * as Session from "../../src/cli/connect/Session.ts"
import * as View from "../../src/cli/connect/View.ts"
import * as Style from "../../src/cli/terminal/Style.ts"
import { inTerminal, later, noTerminal, plain, run, start } from "./support/Cli.ts"
import { echoServer } from "./support/EchoServer.ts"

const tls = `${import.meta.dirname}/../support/tls`

/** The server of these tests answers at once. */
const quick = ["connect", "--linger", "0ms"]

let echo = ""
beforeAll(async () => {
  const server = await echoServer()
  echo = server.url
  return server.close
})

/** A server that answers every upgrade with these octets. */
const answering = async (head: string): Promise<string> => {
  const server = Http.createServer()
  server.on("upgrade", (_, socket) => socket.end(head))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  later(() => void server.close())
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** A server that does with each connection what the list says. */
const serving = async (...each: ReadonlyArray<(socket: WebSocket) => void>): Promise<string> => {
  const server = new WsServer({ host: "127.0.0.1", port: 0 })
  let connections = 0
  server.on("connection", (socket) => {
    socket.on("error", () => undefined)
    each[connections++]?.(socket)
  })
  await once(server, "listening")
  later(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const lines = (count: number): string => Array.from({ length: count }, (_, index) => index + 1).join("\n")

// Most of their time is the start of a process.
describe("connect in a pipe", { concurrent: true, timeout: 60_000 }, () => {
  it("sends lines and writes lines, and after the end of the input closes the connection", async () => {
    const { status, stderr, stdout } = await run([...quick, echo], "one\n{\"two\": 2}\nthree")
    assert.deepStrictEqual({ status, stderr, stdout }, { status: 0, stderr: "", stdout: "one\n{\"two\": 2}\nthree\n" })
  })

  it("sends --send first, and leaves after --count messages", async () => {
    const program = start(["connect", echo, "--send", "a", "--send", "b", "--send", "c", "--count", "2"])
    assert.deepStrictEqual(await program.ended, { status: 0, stdout: "a\nb\n", stderr: "" })
  })

  it("fails if fewer messages come than --count asks for", async () => {
    const result = await run(["connect", echo, "--count", "3", "--timeout", "1s"], "one\n")
    assert.deepStrictEqual(result, {
      status: 1,
      stdout: "one\n",
      stderr: "1 message arrived, 3 were asked for\n"
    })
  })

  it("passes bytes through with --binary, and shows them as digits without", async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 200])
    const raw = await run([...quick, echo, "--binary"], bytes.toString("latin1"))
    assert.strictEqual(raw.status, 0)
    const shown = await run([...quick, `${echo}binary`], "Hi\n")
    assert.strictEqual(shown.stdout, "4869\n")
  })

  it("writes everything as JSON with --json", async () => {
    const { status, stdout } = await run([...quick, echo, "--json", "--subprotocol", "b,a"], "hello\n")
    assert.strictEqual(status, 0)
    const events = stdout.trim().split("\n").map((line) => JSON.parse(line))
    assert.deepStrictEqual(events.map(({ event }) => event), ["open", "message", "close"])
    assert.deepInclude(events[0], { url: echo, subprotocol: "a", extension: "permessage-deflate" })
    assert.deepInclude(events[1], { type: "text", data: "hello" })
    assert.deepInclude(events[2], { code: 1000, by: "client", clean: true })
  })

  it("sends headers and the origin, and offers no compression where it should not", async () => {
    const args = ["connect", `${echo}headers`, "-H", "X-One: 1", "--header", "x-two:2", "--origin", "https://app.example"]
    const { stdout } = await run([...args, "--no-compression", "--count", "1"])
    const headers = JSON.parse(stdout)
    assert.deepInclude(headers, { "x-one": "1", "x-two": "2", origin: "https://app.example" })
    assert.notProperty(headers, "sec-websocket-extensions")
  })

  it("pings with --ping and tells the round trips", async () => {
    const program = start(["connect", echo, "--ping", "10ms"])
    await program.tells(/pong after .*\n.*pong after/)
    program.endInput()
    const { status, stderr } = await program.ended
    assert.strictEqual(status, 0)
    assert.match(stderr, /\d+ pings answered: least .*, mean .*, most /)
  })

  it("goes on after the end of the input with --keep-open, and explains a close code", async () => {
    const { status, stderr, stdout } = await run(["connect", `${echo}goodbye`, "--keep-open"])
    assert.strictEqual(stdout, "goodbye\n")
    assert.strictEqual(status, 1)
    assert.match(stderr, /^Closed by the server with 1008 Policy Violation: too long \(a policy was violated/)
  })

  it("is closed properly where it is interrupted", async () => {
    const program = start(["connect", echo, "--verbose"])
    await program.tells(/Connected to/)
    program.kill("SIGINT")
    assert.strictEqual((await program.ended).status, 130)
  })

  it("ends quietly when nobody reads its output any more", async () => {
    const program = start(["connect", `${echo}endless`])
    await program.shows(/endless/)
    program.stopReading()
    assert.strictEqual((await program.ended).status, 0)
  })

  it("goes on when nobody reads what it says beside its output", async () => {
    const program = start(["connect", echo, "--linger", "0ms", "--verbose"])
    await program.tells(/Connected to/)
    program.stopReadingErrors()
    program.type("one\n")
    program.endInput()
    assert.deepInclude(await program.ended, { status: 0, stdout: "one\n" })
  })

  it.skipIf(!existsSync("/dev/full"))("fails if its output cannot be written", async () => {
    const full = openSync("/dev/full", "w")
    later(() => closeSync(full))
    const program = start(["connect", `${echo}endless`, "--count", "1"], { stdout: full })
    const { status, stderr } = await program.ended
    assert.strictEqual(status, 1)
    assert.match(stderr, /^The output could not be written: ENOSPC/)
  })

  it("fails if the server closes before all of the input was sent", async () => {
    const url = await serving((socket) => socket.once("message", () => socket.close(1000)))
    const { status, stderr } = await run(["connect", url], lines(500_000))
    assert.strictEqual(status, 1)
    assert.match(stderr, /The (?:server closed|connection ended) before all of the input was sent\.\n$/)
  })

  it("is content where the server closes and there is no more input", async () => {
    const url = await serving((socket) => socket.once("message", () => socket.close(1000)))
    const program = start(["connect", url])
    program.type("one\n")
    assert.deepStrictEqual(await program.ended, { status: 0, stdout: "", stderr: "" })
  })
})

describe("connect --reconnect", { concurrent: true, timeout: 60_000 }, () => {
  it("comes back after a cut, and says again what it says first", async () => {
    const url = await serving(
      (socket) => socket.on("message", () => socket.send("one", () => socket.terminate())),
      (socket) => socket.on("message", (data) => socket.send(`two after ${String(data)}`))
    )
    const { status, stderr, stdout } = await run(["connect", url, "--reconnect", "--send", "hello", "--count", "2"])
    assert.deepStrictEqual({ status, stdout }, { status: 0, stdout: "one\ntwo after hello\n" })
    assert.match(stderr, /^trying again in /m)
  })

  it("goes on with the input after a connection that was lost", async () => {
    let last = ""
    let isInOrder = true
    const url = await serving(
      (socket) => socket.once("message", () => socket.close(4000, "moved")),
      (socket) =>
        socket.on("message", (data) => {
          isInOrder &&= last === "" || Number(data) === Number(last) + 1
          last = String(data)
          if (last === "20000") socket.send("all")
        })
    )
    const { status, stderr, stdout } = await run(["connect", url, "--reconnect", "--count", "1"], lines(20_000))
    assert.deepStrictEqual({ status, stdout, last, isInOrder }, { status: 0, stdout: "all\n", last: "20000", isInOrder: true })
    assert.match(stderr, /^trying again in [^:]*: the server closed with 4000 Application: moved$/m)
  })

  it("says how many messages a broken connection may have lost, status 1", async () => {
    const got = [0, 0]
    const url = await serving(
      (socket) =>
        socket.on("message", () => {
          if (++got[0]! === 1000) socket.terminate()
        }),
      (socket) => socket.on("message", () => void got[1]!++)
    )
    const { status, stderr } = await run([...quick, url, "--reconnect"], lines(20_000))
    const [, told] = /^([\d,]+) messages may not have arrived: the connection ended/m.exec(stderr) ?? []
    const mayBeLost = Number(told?.replaceAll(",", ""))
    assert.isAtLeast(mayBeLost, 20_000 - got[0]! - got[1]!)
    assert.isAtMost(mayBeLost, 20_000 - got[1]!)
    assert.isTrue(stderr.endsWith(`\nIn all ${told} messages may not have arrived.\n`), stderr)
    assert.strictEqual(status, 1)
  })

  it("counts nothing as lost that the server has confirmed", async () => {
    const url = await serving(
      (socket) => socket.on("message", () => socket.once("ping", () => socket.send("read", () => socket.terminate()))),
      (socket) => socket.send("back")
    )
    const program = start([...quick, url, "--reconnect"])
    program.type("one\n")
    await program.shows(/read\nback/)
    program.endInput()
    const { status, stderr } = await program.ended
    assert.strictEqual(status, 0)
    assert.match(stderr, /^trying again in [^\n]*\n$/)
  })

  it.effect("sends again what no connection took, and says so once", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const view = View.forLines({
        out: () => {},
        err: (line) => void notes.push(line),
        style: Style.of(process.stderr),
        raw: false,
        isVerbose: false
      })
      const sent: Array<Message.Message> = []
      const outcomes: Array<"Lost" | "Ended" | undefined> = ["Lost", "Lost", undefined, "Ended"]
      const attempt = (message: Message.Message) =>
        Effect.suspend(() => {
          const reason = outcomes.shift()
          return reason === undefined
            ? Effect.sync(() => void sent.push(message))
            : Effect.fail(new WebSocketError.NotConnected({ reason }))
        })
      yield* send(attempt, view, "one")
      assert.deepStrictEqual(sent, ["one"])
      assert.deepStrictEqual(notes, ["the connection ended before it accepted a message; sending it again"])
      assert.deepInclude(yield* Effect.flip(send(attempt, view, "two")), { reason: "Ended" })
      assert.lengthOf(notes, 1)
    }).pipe(TestClock.withLive))

  it("waits for a server that is not there yet", async () => {
    const reserved = Http.createServer().listen(0, "127.0.0.1")
    await once(reserved, "listening")
    const { port } = reserved.address() as AddressInfo
    await new Promise((resolve) => reserved.close(resolve))
    const program = start(["connect", `ws://127.0.0.1:${port}/`, "--reconnect", "--count", "1"])
    await program.tells(/trying again in .*ECONNREFUSED/)
    const server = new WsServer({ host: "127.0.0.1", port })
    later(() => server.close())
    server.on("connection", (socket) => socket.send("at last"))
    assert.deepInclude(await program.ended, { status: 0, stdout: "at last\n" })
  })

  it("gives up where trying again does not help", async () => {
    const refusing = await answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    const refused = await run(["connect", refusing, "--reconnect", "--keep-open"])
    assert.strictEqual(refused.status, 4)
    assert.include(refused.stderr, "What to do: nothing is at this path")
    const url = await serving((socket) => socket.close(1008, "who are you?"))
    const closed = await run(["connect", url, "--reconnect", "--keep-open"])
    assert.strictEqual(closed.status, 1)
    assert.match(closed.stderr, /1008 Policy Violation: who are you\?/)
  })
})

describe("connect without a connection", { concurrent: true, timeout: 60_000 }, () => {
  it("shows a refusal with headers, body and advice, status 4", async () => {
    const url = await answering(
      "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 9\r\nConnection: close\r\n\r\nno\u001B[2Jwa"
    )
    const { status, stderr, stdout } = await run(["connect", url])
    assert.strictEqual(status, 4)
    assert.strictEqual(stdout, "")
    assert.include(stderr, "The server refused the handshake: 401 Unauthorized\n  www-authenticate: Bearer\n")
    assert.include(stderr, "\n  no\\x1b[2Jwa")
    assert.include(stderr, "What to do: the server wants credentials: --header \"Authorization: Bearer …\"")
  })

  it("says which rule a wrong answer breaks", async () => {
    const url = await answering(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"
    )
    const { status, stderr } = await run(["connect", url])
    assert.strictEqual(status, 4)
    assert.match(stderr, /cannot be accepted: .*\(AcceptInvalid, RFC 6455 §4\.1\)/)
  })

  it("says that nobody listens, status 3", async () => {
    const { status, stderr } = await run(["connect", "ws://127.0.0.1:1/"])
    assert.strictEqual(status, 3)
    assert.match(stderr, /^The server could not be reached \(ECONNREFUSED\)/)
  })

  it.each([
    [["connect"], /Missing required argument: url/],
    [["connect", "ws://a/", "--timeout", "soon"], /"soon" is not a duration/],
    [["connect", "ws://a/#b"], /UrlFragment/]
  ])("finds the mistake in %j, status 2", async (args, pattern) => {
    const { status, stderr, stdout } = await run(args)
    assert.strictEqual(status, 2)
    assert.match(stderr, pattern)
    assert.strictEqual(stdout, "")
  })
})

describe("connect --send", () => {
  const url = "ws://localhost/"
  const silent = WebSocketServer.handle((ws) => Stream.runDrain(ws.messages))
  const served = Layer.provideMerge(HttpRouter.serve(HttpRouter.add("GET", "/", silent)), TestServer.layer())
  const cut = Effect.flatMap(TestServer.TestServer, ({ links }) => Effect.flatMap(links, ([link]) => link!.reset))
  const settings = { url, connect: {}, send: ["one", "two"], style: Style.of(process.stderr) }
  const noting = (notes: Array<string>): View.View => View.forJson((line) => void notes.push(String(line)))

  it.effect("is reported where the connection ends before it accepted all of it", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const [session] = yield* Session.once(settings, Effect.as(cut, noting(notes)))
      assert.isTrue(session.isCutShort())
      assert.match(notes[1]!, /"event":"note","text":"not all of --send was sent: /)
      const [whole] = yield* Session.once(settings, Effect.succeed(noting([])))
      assert.isFalse(whole.isCutShort())
    }).pipe(Effect.scoped, Effect.provide(served)))
})

describe("connect over TLS", () => {
  it("verifies the server, trusts --ca, and warns where it should not verify", async () => {
    const server = await echoServer({ isSecure: true })
    later(server.close)
    const untrusted = await run(["connect", server.url], "x\n")
    assert.strictEqual(untrusted.status, 3)
    assert.match(untrusted.stderr, /What to do: name the authority that signed its certificate \(--ca FILE\)/)
    const trusted = await run([...quick, server.url, "--ca", `${tls}/ca.pem`], "x\n")
    assert.deepStrictEqual(trusted, { status: 0, stdout: "x\n", stderr: "" })
    const insecure = await run([...quick, server.url, "--insecure"], "x\n")
    assert.strictEqual(insecure.stdout, "x\n")
    assert.match(insecure.stderr, /^WARNING: the certificate is not verified \(--insecure\)/)
  })
})

describe("connect in a terminal", { concurrent: true, timeout: 60_000 }, () => {
  it("shows messages in colours and obeys commands", async ({ skip }) => {
    const reason = noTerminal()
    if (reason !== undefined) skip(reason)
    const program = inTerminal(["connect", echo])
    await program.shows(/Ctrl-D closes/)
    program.type("{\"a\":[1,true,null,\"x\"]}\r")
    await program.shows(/\[34m"a".\[39m: \[.\[36m1.\[39m, /)
    program.type("/hex 48 69 00\r")
    await program.shows(/48 69 00\s+\S*Hi\./)
    program.type("/ping\r")
    await program.shows(/pong after/)
    program.type("//help\r")
    await program.shows(/< \S*\/help/)
    program.type("/unknown\r")
    await program.shows(/there is no \/unknown/)
    program.type("/hel")
    await program.shows(/\/hel$/)
    program.type("\t")
    await program.shows(/\/help $/)
    program.type("\r")
    await program.shows(/send a ping and show/)
    program.type(`/close 4001 ${"x".repeat(124)}\r`)
    await program.shows(/the reason is too long/)
    program.type("/close 4001 bye\r")
    const { status, stdout } = await program.ended
    assert.strictEqual(status, 0)
    assert.include(plain(stdout), "Closed by this side with 4001 Application: bye")
  })

  it("shows no control characters of the server", async ({ skip }) => {
    const reason = noTerminal()
    if (reason !== undefined) skip(reason)
    const program = inTerminal(["connect", `${echo}escape`], { env: { NO_COLOR: "1" } })
    await program.shows(/< a\\x1b\[2Jb/)
    program.type("\u0004")
    assert.strictEqual((await program.ended).status, 0)
  })

  it("leaves by Ctrl-C, and keeps a history that nobody else may read", async ({ skip }) => {
    const reason = noTerminal()
    if (reason !== undefined) skip(reason)
    const folder = mkdtempSync(join(tmpdir(), "effect-ws-"))
    later(() => rmSync(folder, { recursive: true }))
    const env = { EFFECT_WS_HISTORY: join(folder, "state", "history") }
    const first = inTerminal(["connect", echo], { env })
    await first.shows(/Ctrl-D closes/)
    first.type("something to remember\r")
    await first.shows(/< \S*something to remember/)
    first.type("begun\u0003")
    first.type("\u0003")
    assert.strictEqual((await first.ended).status, 0)
    assert.strictEqual(readFileSync(env.EFFECT_WS_HISTORY, "utf8"), "something to remember\n")
    assert.strictEqual(statSync(env.EFFECT_WS_HISTORY).mode & 0o777, 0o600)
    const second = inTerminal(["connect", echo], { env })
    await second.shows(/Ctrl-D closes/)
    second.type("\u001B[A\r")
    await second.shows(/< \S*something to remember/)
    second.type("\u0004")
    assert.strictEqual((await second.ended).status, 0)
  })
})
