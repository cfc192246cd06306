/** The echo programs as they are, on each runtime against each other. */
import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import { run, serve } from "../support.ts"
import { connect } from "../ws.ts"
import { commandOf } from "./Runtimes.ts"

const runtimes = ["node", "bun", "deno"] as const

describe("echo-server × echo-client", { timeout: 60_000 }, () => {
  for (const server of runtimes) {
    for (const client of runtimes) {
      it(`a server on ${server}, a client on ${client}`, async (context) => {
        const env = { MODE: "broadcast", COMPRESSION: "true" }
        const { exited, kill, url } = await serve("echo-server.ts", env, { runtime: commandOf(server, context) })
        const program = run("echo-client.ts", { env: { URL: url }, runtime: commandOf(client, context) })
        // What this peer says goes to all, itself included. So it hears a message for the second time once the
        // client has sent it back; and from then on again and again.
        const peer = await connect(url)
        const heard = new Map<string, number>()
        const keyOf = (message: string | Buffer) => `${typeof message} ${message.toString()}`
        peer.socket.on("message", (data: Buffer, isBinary) => {
          const key = keyOf(isBinary ? data : data.toString())
          heard.set(key, (heard.get(key) ?? 0) + 1)
        })
        const hears = (message: string | Buffer, times: number) =>
          vi.waitFor(() => assert.isAtLeast(heard.get(keyOf(message)) ?? 0, times), { timeout: 20_000 })
        const greeting = "is anybody there?"
        let sent = 0
        while ((heard.get(keyOf(greeting)) ?? 0) <= sent) {
          peer.send(greeting)
          await hears(greeting, ++sent)
          await pause(200)
        }
        for (const message of ["ünïcödé 🦊", Buffer.from([0, 255, 128]), "x".repeat(70_000)]) {
          peer.send(message)
          await hears(message, 3)
        }
        // In the middle of all this.
        kill("SIGTERM")
        assert.strictEqual((await peer.closed).code, 1001)
        assert.deepStrictEqual(await program.exited, { code: 0, signal: null }, program.output())
        assert.strictEqual(program.output(), "closed: 1001\n")
        // 130 is how `runMain` says that it was interrupted.
        assert.deepStrictEqual(await exited, { code: 130, signal: null })
      })
    }
  }
})

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
