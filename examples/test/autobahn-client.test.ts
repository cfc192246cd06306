import { assert, describe, it } from "@effect/vitest"
import { run } from "./support.ts"
import { listen, type Peer, sendRaw } from "./ws.ts"

const sixteenMiB = Buffer.alloc(16 * 1024 * 1024, 42)

describe("autobahn-client", { timeout: 60_000 }, () => {
  it("runs every case of a fuzzing server, then asks for the report", async () => {
    const seen: Array<string> = []
    const cases: Record<string, (peer: Peer) => Promise<void>> = {
      async 1(peer) {
        peer.send("echo me")
        seen.push(`1: ${await peer.next()}`)
        peer.socket.close(1000)
      },
      async 2(peer) {
        sendRaw(peer, Uint8Array.of(0xc1, 0)) // RSV1, and nothing was negotiated
        seen.push(`2: ${(await peer.closed).code}`)
      },
      async 3(peer) {
        peer.send(sixteenMiB)
        seen.push(`3: ${sixteenMiB.equals(await peer.next() as Buffer)}`)
        peer.socket.close(1000)
      },
      async 4(peer) {
        peer.socket.terminate()
      }
    }
    const url = await listen(async (peer, { pathname, searchParams }) => {
      const agent = searchParams.get("agent")
      switch (pathname) {
        case "/getCaseCount":
          peer.send("4")
          return peer.socket.close(1000)
        case "/runCase":
          assert.strictEqual(agent, "tester & co")
          return cases[searchParams.get("case") ?? ""](peer)
        case "/updateReports":
          seen.push(`report: ${agent}`)
          return peer.socket.close(1000)
      }
    })
    const client = run("autobahn-client.ts", { env: { URL: url, AGENT: "tester & co" } })
    assert.deepStrictEqual(await client.exited, { code: 0, signal: null })
    assert.deepStrictEqual(seen, ["1: echo me", "2: 1002", "3: true", "report: tester & co"])
    assert.strictEqual(client.output(), "4 cases as tester & co\ndone\n")
  })
})
