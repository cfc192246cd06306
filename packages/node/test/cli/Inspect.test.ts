/** `effect-ws inspect` and `effect-ws replay`: a session is watched, recorded, shown again and played. */
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeAll } from "vitest"
import { WebSocket } from "ws"
import { chromiumClient } from "../interop/peers/chromium.ts"
import { later, run, start } from "./support/Cli.ts"
import { echoServer } from "./support/EchoServer.ts"

const tls = `${import.meta.dirname}/../support/tls`
let echo = ""
let folder = ""
beforeAll(async () => {
  const server = await echoServer()
  echo = server.url
  folder = mkdtempSync(join(tmpdir(), "effect-ws-"))
  return () => {
    server.close()
    rmSync(folder, { recursive: true })
  }
})

const inspect = async (target: string, ...args: ReadonlyArray<string>) => {
  const program = start(["inspect", target, "--port", "0", ...args])
  const [, url] = await program.tells(/Listening on (ws:\S+) for/)
  return { ...program, url: url! }
}

/** Talks through the proxy and closes. */
const talk = async (url: string, messages: ReadonlyArray<string | Buffer>, headers = {}): Promise<ReadonlyArray<string>> => {
  const socket = new WebSocket(url, { headers })
  const received: Array<string> = []
  socket.on("error", () => undefined)
  socket.on("message", (data, isBinary) => {
    received.push(isBinary ? `hex ${(data as Buffer).toString("hex")}` : String(data))
    if (received.length === messages.length) socket.close(1000, "done")
  })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await once(socket, "open")
  for (const message of messages) socket.send(message)
  await closed
  return received
}

/** Both directions of two connections have ended, one way or another. */
const fourEnds = /(?:[→←] (?:ended TCP|closed|E[A-Z]+)\n[^]*){4}/

/** A recorded session of two connections, and what was shown of it. */
const session = async (name: string, ...args: ReadonlyArray<string>) => {
  const file = join(folder, `${name}.jsonl`)
  const program = await inspect(echo, "--record", file, ...args)
  const long = JSON.stringify({ words: "again and again ".repeat(100) })
  assert.deepStrictEqual(
    await talk(`${program.url}feed?token=hidden`, ["hello", long, Buffer.from([1, 2])], {
      authorization: "Bearer hidden",
      cookie: "session=hidden"
    }),
    ["hello", long, "hex 0102"]
  )
  await talk(program.url, ["second"])
  await program.shows(fourEnds)
  program.kill("SIGINT")
  const { stdout } = await program.ended
  return { file, stdout, text: readFileSync(file, "utf8") }
}

describe("inspect", { concurrent: true, timeout: 60_000 }, () => {
  it("shows and records a session without its secrets; replay shows the same, byte for byte", async () => {
    const { file, stdout, text } = await session("session")
    assert.match(stdout, /#1 +[\d.]+ → GET \/feed\?token=\*\*\* HTTP\/1\.1\n/)
    assert.match(stdout, / authorization: Bearer \*\*\*\n/)
    assert.match(stdout, /← HTTP\/1\.1 101 Switching Protocols \(permessage-deflate\)\n/)
    assert.match(stdout, /→ text +FIN RSV1 MASK +\d+ B, message 5 B from \d+ B {2}hello\n/)
    assert.match(stdout, /→ text +FIN RSV1 MASK +\d+ B, message 1\.\d+ KiB from \d+ B {2}\{"words":"again/)
    assert.match(stdout, /← binary +FIN RSV1 [^\n]* 01 02\n/)
    assert.match(stdout, /→ close +FIN MASK +6 B {2}1000 Normal Closure: done\n/)
    assert.notInclude(stdout + text, "hidden")
    assert.strictEqual(statSync(file).mode & 0o777, 0o600)
    const shown = await run(["replay", file])
    assert.strictEqual(shown.status, 0)
    assert.strictEqual(shown.stdout, stdout)
    const second = await run(["replay", file, "--connection", "2", "--full"])
    assert.notInclude(second.stdout, "#1")
    assert.match(second.stdout, /→ text [^\n]*\n {8}second\n/)
  })

  it("keeps secrets if it is asked to, and plays a recording to a server and to a client: the same bytes", async () => {
    const { file, text } = await session("secrets", "--show-secrets")
    assert.include(text, "Bearer hidden")
    // To a server, through a second inspection, which records the same bytes of the client.
    const again = join(folder, "again.jsonl")
    const program = await inspect(echo, "--record", again)
    const played = await run(["replay", file, "--to", program.url])
    assert.strictEqual(played.status, 0, played.stdout + played.stderr)
    assert.match(played.stdout, /^#1 sent \d+ B, 4 messages as recorded\n#2 sent \d+ B, 2 messages as recorded\n$/)
    await program.shows(fourEnds)
    program.kill("SIGINT")
    await program.ended
    const bytesOf = (recording: string, connection: number, from: string) =>
      Buffer.concat(
        recording.trim().split("\n").map((line) => JSON.parse(line)).filter((line) =>
          line.event === "bytes" && line.connection === connection && line.from === from
        ).map(({ base64 }) => Buffer.from(base64, "base64"))
      ).toString("hex")
    const recorded = readFileSync(again, "utf8")
    for (const connection of [1, 2]) {
      for (const from of ["client", "server"]) {
        assert.strictEqual(bytesOf(recorded, connection, from), bytesOf(text, connection, from))
      }
    }
    // To a client: it hears what the recorded client heard.
    const server = start(["replay", file, "--listen", "--port", "0", "--connection", "2"])
    const [, url] = await server.tells(/Waiting for 1 client on (ws:\S+)\n/)
    assert.deepStrictEqual(await talk(url!, ["second"]), ["second"])
    const { status, stdout } = await server.ended
    assert.strictEqual(status, 0, stdout)
    assert.match(stdout, /^#2 sent \d+ B, 2 messages as recorded\n$/)
  })

  it("says what is different when a recording is played", async () => {
    const { file } = await session("different")
    const other = await run(["replay", file, "--to", `${echo}goodbye`, "--connection", "2", "--timeout", "2s"])
    assert.strictEqual(other.status, 1)
    assert.match(other.stdout, /^#2 sent .*, \d differences?\n {3}✗ message 1: "second" in the recording, "goodbye" now\n/)
    const client = start(["replay", file, "--listen", "--port", "0", "--connection", "2", "--timeout", "1s"])
    const [, url] = await client.tells(/on (ws:\S+)\n/)
    await talk(url!, ["something else"])
    assert.strictEqual((await client.ended).status, 1)
    const hidden = await run(["replay", file, "--to", echo, "--connection", "1"])
    assert.match(hidden.stderr, /authorization was not recorded and is left out/)
    assert.strictEqual((await run(["replay", file, "--to", "ws://127.0.0.1:1/"])).status, 3)
  })

  it("shows the rules that a server breaks, the refusal of another, and one that is not there", async () => {
    const broken = await inspect(`${echo}unmasked`)
    await talk(broken.url, ["x"]).catch(() => undefined)
    await broken.shows(/✗ .*\(ReservedBit, RFC 6455 §5\.2\)/)
    const nobody = await inspect("ws://127.0.0.1:1/")
    const refused = await run(["connect", nobody.url])
    assert.strictEqual(refused.status, 4)
    assert.match(refused.stderr, /502 Bad Gateway[^]*cannot be reached/)
    await nobody.shows(/← ECONNREFUSED/)
  })

  it("speaks TLS with the server and sends other headers", async () => {
    const server = await echoServer({ isSecure: true })
    later(server.close)
    const args = ["--ca", `${tls}/ca.pem`, "--header", "X-Extra: 1", "--origin", "https://app.example"]
    const program = await inspect(`${server.url}headers`, ...args)
    const { stdout } = await run(["connect", program.url, "--count", "1"])
    assert.deepInclude(JSON.parse(stdout), { "x-extra": "1", origin: "https://app.example", host: new URL(server.url).host })
  })

  it("serves a page to whoever knows its address, and shows there what happens", async () => {
    const program = await inspect(echo, "--page", "--quiet")
    const [, page] = await program.tells(/Page (http:\S+)\n/)
    const response = await fetch(page!)
    assert.strictEqual(response.status, 200)
    assert.include(response.headers.get("content-security-policy"), "default-src 'none'")
    assert.include(await response.text(), "effect-ws inspect")
    const { origin, searchParams } = new URL(page!)
    assert.strictEqual((await fetch(origin)).status, 403)
    assert.strictEqual((await fetch(`${origin}/live?token=wrong`)).status, 403)

    await talk(program.url, ["before the page was opened"])
    const live = new WebSocket(`${origin.replace("http", "ws")}/live?token=${searchParams.get("token")}`)
    later(() => live.terminate())
    const items: Array<{ readonly title: string; readonly text?: string }> = []
    const until = (text: string) =>
      new Promise<void>((resolve) => {
        const look = () => items.some((item) => item.text === text) && resolve()
        live.on("message", (data) => {
          items.push(...JSON.parse(String(data)))
          look()
        })
        look()
      })
    await until("before the page was opened")
    const news = until("while it is open")
    await talk(program.url, ["while it is open"])
    await news
    // Another site cannot listen, even if it knew the token.
    const foreign = new WebSocket(`${origin.replace("http", "ws")}/live?token=${searchParams.get("token")}`, {
      origin: "https://evil.example"
    })
    const [error] = await once(foreign, "error")
    assert.match(String(error), /403/)
  })

  it("shows on its page what peers say as text, with details and a filter", async ({ skip }) => {
    if (chromiumClient.missing !== undefined) skip(chromiumClient.missing)
    const program = await inspect(echo, "--page", "--quiet")
    const [, address] = await program.tells(/Page (http:\S+)\n/)
    const browser = await chromiumClient.start()
    later(() => browser.stop())
    const { page, seen } = browser
    await page.goto(address!)
    await talk(program.url, ["<img src=x onerror=alert(1)>", "{\"a\":[1]}", Buffer.from([1, 2])])
    await page.locator("tr", { hasText: "<img src=x" }).first().waitFor()
    assert.strictEqual(await page.locator("#rows img").count(), 0)
    await page.locator("tr", { hasText: "{\"a\"" }).first().click()
    assert.strictEqual(await page.locator("#detail pre").textContent(), "{\n  \"a\": [\n    1\n  ]\n}")
    await page.locator("tr", { hasText: "01 02" }).first().waitFor()
    await page.locator("#filter").fill("binary")
    assert.strictEqual(await page.locator("tr:visible").count(), 2)
    assert.deepStrictEqual(seen, [])
  })

  it("finds mistakes in its arguments", async () => {
    assert.strictEqual((await run(["inspect", "ftp://a/"])).status, 2)
    assert.strictEqual((await run(["replay", join(folder, "none.jsonl")])).status, 2)
    writeFileSync(join(folder, "wrong.jsonl"), "{}\n")
    const wrong = await run(["replay", join(folder, "wrong.jsonl")])
    assert.strictEqual(wrong.status, 2)
    assert.match(wrong.stderr, /it is no recording of version 1/)
  })
})
