/** `effect-ws conformance`, against the `ws` package, whose results are known. */
import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { beforeAll } from "vitest"
import { WebSocket } from "ws"
import { carelessServer } from "../conformance/carelessSubject.ts"
import { wsClient, wsServer } from "../conformance/wsSubject.ts"
import { inTerminal, later, noTerminal, plain, run, start } from "./support/Cli.ts"

let url = ""
let folder = ""
beforeAll(async () => {
  const subject = await wsServer({ perMessageDeflate: { threshold: 0 } })
  url = subject.url
  folder = mkdtempSync(join(tmpdir(), "effect-ws-"))
  return () => {
    subject.close()
    rmSync(folder, { recursive: true })
  }
})

describe("conformance of a server", { timeout: 60_000 }, () => {
  it("finds in ws what is known of it: four non-strict cases", async () => {
    const files = { json: join(folder, "ws.json"), html: join(folder, "ws.html"), markdown: join(folder, "ws.md") }
    const reports = Object.entries(files).flatMap(([name, file]) => [`--${name}`, file])
    const result = await run(["conformance", url, "--exclude", "9,12,13", "--agent", "ws", ...reports])
    assert.strictEqual(result.status, 0, result.stderr)
    assert.match(result.stdout, /^ws 278 cases in /)
    assert.match(result.stdout, /^6 UTF-8 +145 +141 +4 +· +·$/m)
    assert.match(result.stdout, /^all +278 +274 +4 +· +·$/m)
    assert.match(result.stdout, /^non-strict 6\.4\.1, 6\.4\.2, 6\.4\.3, 6\.4\.4: expected still open behind a valid prefix/m)
    const { ws } = JSON.parse(readFileSync(files.json, "utf8"))
    assert.strictEqual(Object.keys(ws).length, 278)
    assert.deepInclude(ws["6.4.1"], { behavior: "NON-STRICT", behaviorClose: "OK", remoteCloseCode: 1007 })
    assert.include(readFileSync(files.html, "utf8"), "<tr id=\"6.4.1\">")
    assert.include(readFileSync(files.markdown, "utf8"), "| 6 UTF-8 | 145 | 141, 4 non-strict |")

    // A second peer joins the report of the first.
    await run(["conformance", url, "--cases", "1.1.1", "--agent", "again", ...reports])
    assert.deepStrictEqual(Object.keys(JSON.parse(readFileSync(files.json, "utf8"))), ["ws", "again"])
  })

  it("has another status for failures, and with --strict for non-strict cases", async () => {
    const careless = await carelessServer("masks")
    later(careless.close)
    const failed = await run(["conformance", careless.url, "--cases", "1.1.1,2.2"])
    assert.strictEqual(failed.status, 1)
    assert.match(failed.stderr, /^FAILED 1\.1\.1 .*: the subject sent a masked frame$/m)
    assert.match(failed.stdout, /^failed 1\.1\.1: the subject sent a masked frame$/m)
    assert.strictEqual((await run(["conformance", url, "--cases", "6.4.1", "--strict"])).status, 1)
  })

  it("lists the cases", async () => {
    const { status, stdout } = await run(["conformance", "--list", "--cases", "6.1"])
    assert.strictEqual(status, 0)
    assert.match(stdout, /^6\.1\.1\tText of length 0\n6\.1\.2\t.*\n6\.1\.3\t.*\n$/)
  })

  it("says at once that there is no server, or none that speaks WebSocket", async () => {
    const nobody = await run(["conformance", "ws://127.0.0.1:1/"])
    assert.strictEqual(nobody.status, 3)
    const page = createServer((_, response) => response.end("a page")).listen(0, "127.0.0.1")
    later(() => page.close())
    await once(page, "listening")
    const refused = await run(["conformance", `ws://127.0.0.1:${(page.address() as AddressInfo).port}/`])
    assert.strictEqual(refused.status, 4)
    assert.match(refused.stderr, /refused with HTTP\/1\.1 200 OK/)
  })

  it.each([
    [[], /give the URL of a server, or --client/],
    [["ws://a/", "--client"], /not both/],
    [["ws://a/", "--cases", "8"], /there is no case 8/],
    [["ws://a/", "--cases", "1", "--exclude", "1"], /leaves no case to play/]
  ])("finds the mistake in %j", async (args, pattern) => {
    const { status, stderr } = await run(["conformance", ...args])
    assert.strictEqual(status, 2)
    assert.match(stderr, pattern)
  })

  it("shows how far it is in a terminal", async ({ skip }) => {
    const reason = noTerminal()
    if (reason !== undefined) skip(reason)
    const program = inTerminal(["conformance", url, "--cases", "1,6.4"])
    await program.shows(/\d+\/20/)
    const { status, stdout } = await program.ended
    assert.strictEqual(status, 0)
    assert.match(plain(stdout), /█+.*\/20 .*(Text|Binary|Fail fast)/)
    // The line of the progress is gone when the table comes.
    assert.match(stdout, /\r.\[K.\[1mws:/)
  })
})

const said = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url)
    let text = ""
    socket.on("message", (data) => {
      text = String(data)
    })
    socket.on("close", () => resolve(text))
    socket.on("error", reject)
  })

describe("conformance of a client", { timeout: 60_000 }, () => {
  it("waits for a client and gives it one case after the other", async () => {
    const program = start(["conformance", "--client", "--port", "0", "--cases", "1.1.1,3.1", "--agent", "mine"])
    const [, at] = await program.tells(/echo client on (ws:\S+):/)
    for (const _ of [1, 2]) await wsClient().connect(at!)
    const { status, stdout } = await program.ended
    assert.strictEqual(status, 0)
    assert.match(stdout, /^mine 2 cases in /)
  })

  it("serves the clients that know Autobahn's fuzzing server", async () => {
    const program = start(["conformance", "--client", "--port", "0", "--cases", "1.1,5,7.1"])
    const [, at] = await program.tells(/echo client on (ws:\S+):/)
    const client = fileURLToPath(new URL("../../../../examples/autobahn-client.ts", import.meta.url))
    const child = spawn(process.execPath, [client], { env: { ...process.env, URL: at, AGENT: "the example" }, stdio: "ignore" })
    later(() => child.kill("SIGKILL"))
    const { status, stdout } = await program.ended
    assert.strictEqual(status, 0, stdout)
    assert.match(stdout, /^the example 34 cases in /)
  })

  it("tells what it knows when it is interrupted", async () => {
    const json = join(folder, "interrupted.json")
    const program = start(["conformance", "--client", "--port", "0", "--cases", "1.1,3.1", "--json", json])
    const [, at] = await program.tells(/echo client on (ws:\S+):/)
    await wsClient().connect(`${at}runCase?case=1&agent=a`)
    // A connection ends before it is judged.
    while (!(await said(`${at}getCaseStatus?case=1&agent=a`)).includes("OK"));
    program.kill("SIGINT")
    const { status, stdout } = await program.ended
    assert.strictEqual(status, 130)
    assert.match(stdout, /^a 1 case in /m)
    assert.deepStrictEqual(Object.keys(JSON.parse(readFileSync(json, "utf8"))), ["a"])
  })

  it("fails if a client is done before all cases were played", async () => {
    const program = start(["conformance", "--client", "--port", "0", "--cases", "1.1"])
    const [, at] = await program.tells(/echo client on (ws:\S+):/)
    await wsClient().connect(`${at}runCase?case=1&agent=lazy`)
    await wsClient().connect(`${at}updateReports?agent=lazy`)
    const { status, stdout } = await program.ended
    assert.strictEqual(status, 1)
    assert.include(stdout, "7 cases not played")
  })
})
