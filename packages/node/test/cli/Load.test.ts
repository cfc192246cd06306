/** `effect-ws load`, against servers of the `ws` package that echo, stand still, alter and lose messages. */
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { type WebSocket, WebSocketServer } from "ws"
import { inTerminal, later, noTerminal, plain, run, start } from "./support/Cli.ts"

/** A server that does this with each connection. */
const serve = async (each: (socket: WebSocket) => void): Promise<string> => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
  server.on("connection", (socket) => {
    socket.on("error", () => undefined)
    each(socket)
  })
  await once(server, "listening")
  later(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const echo = () => serve((socket) => socket.on("message", (data, binary) => socket.send(data, { binary })))

const json = async (args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = await run(["load", "--json", ...args])
  assert.notStrictEqual(stdout, "", stderr)
  return { status, stderr, result: JSON.parse(stdout) }
}

describe("load", { concurrent: true, timeout: 60_000 }, () => {
  it("sends at a rate and counts what came back", async () => {
    const url = await echo()
    const { result, status } = await json([url, "-c", "3", "-n", "20", "--rate", "600", "--size", "100"])
    assert.strictEqual(status, 0)
    assert.deepInclude(result, { size: 100, connections: { asked: 3, open: 3, failed: 0, broken: 0 } })
    assert.deepStrictEqual(result.messages, { sent: 60, received: 60, lost: 0, wrong: 0, behind: 0 })
    // The last of 60 messages at 600 a second is due after 98 ms.
    assert.isAtLeast(result.seconds, 0.097)
    assert.isAbove(result.latency.p50, 0)
    assert.isAtLeast(result.latency.p99, result.latency.p50)
  })

  it("keeps messages under way without a rate, binary and large ones too", async () => {
    const url = await echo()
    const small = await json([url, "-c", "2", "-n", "50", "--depth", "4", "--binary", "--size", "7"])
    assert.deepStrictEqual(small.result.messages, { sent: 100, received: 100, lost: 0, wrong: 0, behind: 0 })
    const large = await json([url, "-c", "1", "-n", "3", "--depth", "3", "--size", "1MiB", "--compression"])
    assert.deepStrictEqual(large.result.messages, { sent: 3, received: 3, lost: 0, wrong: 0, behind: 0 })
  })

  it("omits nothing while a server stands still", async () => {
    // It answers nothing for 600 ms from the first message on, then all at once.
    const url = await serve((socket) => {
      let still: Promise<unknown> | undefined
      socket.on("message", async (data, binary) => {
        await (still ??= sleep(600))
        socket.send(data, { binary })
      })
    })
    const { result } = await json([url, "-c", "1", "--rate", "200", "--duration", "600ms"])
    assert.strictEqual(result.messages.sent, 120)
    // Sent one after the other's answer, only the first would have been late.
    assert.isAbove(result.latency.p50, 250)
    assert.isAbove(result.latency.p90, 450)
  })

  it("finds lost and altered messages, connections that end, and expectations that are not met", async () => {
    const altering = await serve((socket) => socket.on("message", (data) => socket.send(String(data).replace("1x", "2x"))))
    const altered = await json([altering, "-c", "1", "-n", "12", "--size", "20"])
    assert.strictEqual(altered.status, 1)
    // The second and the twelfth message have a number that ends with 1.
    assert.deepInclude(altered.result.messages, { received: 12, wrong: 2 })

    const losing = await serve((socket) => {
      let seen = 0
      socket.on("message", (data) => seen++ === 5 ? socket.close(1011) : socket.send(String(data)))
    })
    const lost = await run(["load", losing, "-c", "1", "-n", "10", "--rate", "1000"])
    assert.strictEqual(lost.status, 1)
    assert.match(lost.stdout, /1 connection ended too early/)
    assert.match(lost.stdout, /messages? did not come back/)

    const slow = await run(["load", await echo(), "-c", "1", "-n", "5", "--expect", "p50=1us"])
    assert.strictEqual(slow.status, 1)
    assert.match(slow.stderr, /^p50 is .*, above 1 µs$/m)
  })

  it("sends one way, and says how it went", async () => {
    let received = 0
    const url = await serve((socket) => socket.on("message", () => received++))
    const { status, stdout } = await run(["load", url, "-c", "2", "-n", "30", "--one-way"])
    assert.strictEqual(status, 0)
    assert.strictEqual(received, 60)
    assert.match(stdout, /^2 connections to ws:.*\n60 messages of 128 B sent in .*\n.* messages a second, .* a second\n/)
    assert.notInclude(stdout, "latency")
  })

  it("says why there is no connection, and which arguments are wrong", async () => {
    const nobody = await run(["load", "ws://127.0.0.1:1/", "-c", "2"])
    assert.strictEqual(nobody.status, 3)
    assert.match(nobody.stderr, /ECONNREFUSED/)
    assert.strictEqual((await run(["load", "ws://a/", "--expect", "fast"])).status, 2)
  })

  it("tells what it measured when it is interrupted", async () => {
    let hear = (): void => {}
    const heard = new Promise<void>((resolve) => {
      hear = resolve
    })
    const url = await serve((socket) =>
      socket.on("message", (data) => {
        socket.send(String(data))
        hear()
      })
    )
    const program = start(["load", url, "--duration", "1h", "--json"])
    await heard
    program.kill("SIGINT")
    const { status, stdout } = await program.ended
    assert.strictEqual(status, 130)
    assert.isAtLeast(JSON.parse(stdout).messages.sent, 1)
  })

  it("shows how it goes in a terminal", async ({ skip }) => {
    const reason = noTerminal()
    if (reason !== undefined) skip(reason)
    const program = inTerminal(["load", await echo(), "-c", "2", "--rate", "100", "--duration", "900ms"])
    // The rate is known before the first second is over.
    await program.shows(/[1-9]\d* msg\/s, p50 .*p99/)
    const { status, stdout } = await program.ended
    assert.strictEqual(status, 0)
    assert.match(plain(stdout), /█.* msg\/s, p50/)
    assert.match(stdout, /least +mean +p50/)
  })
})
