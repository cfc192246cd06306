/** The programs of the documents, taken out of them and run as a reader would run them. */
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { run } from "./support.ts"

const root = new URL("../../", import.meta.url)

/** A port that was free a moment ago. */
const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Writes the named blocks of a document as files, on a port of their own, and gives their folder under `examples/`. */
const extract = async (document: string) => {
  const port = await freePort()
  const folder = `build/documents/${document}`
  const target = new URL(`examples/${folder}/`, root)
  rmSync(target, { recursive: true, force: true })
  mkdirSync(target, { recursive: true })
  const text = readFileSync(new URL(`docs/${document}.md`, root), "utf8")
  for (const [, code, name] of text.matchAll(/^```ts\n(\/\/ ([\w.]+)\n[\s\S]*?)^```/gm)) {
    writeFileSync(new URL(name, target), code.replaceAll("9001", String(port)))
  }
  return { folder, port }
}

// The tests that the tutorials end with are among these.
const { folder: feed } = await extract("tutorial-feed")
const { folder: chat } = await extract("tutorial-chat")
await import(/* @vite-ignore */ new URL(`examples/${feed}/Feed.test.ts`, root).pathname)
await import(/* @vite-ignore */ new URL(`examples/${chat}/Visit.test.ts`, root).pathname)

describe("documents", { timeout: 60_000 }, () => {
  it("getting started: a server, and a client that hears its echo", async () => {
    const { folder } = await extract("getting-started")
    const server = run(`${folder}/server.ts`)
    await server.waitFor(/Listening on/)
    const client = run(`${folder}/client.ts`)
    assert.deepStrictEqual(await client.exited, { code: 0, signal: null })
    assert.match(client.output(), /^hello\na Ping took \d.*\n$/)
    server.kill("SIGTERM")
    await server.exited
  })

  it("getting started: WebSockets beside ordinary routes", async () => {
    const { folder, port } = await extract("getting-started")
    const server = run(`${folder}/routes.ts`)
    await server.waitFor(/Listening on/)
    assert.strictEqual(await (await fetch(`http://127.0.0.1:${port}/health`)).text(), "ok")
  })

  it("a feed: prices arrive, and again after the server has restarted", async () => {
    const client = run(`${feed}/client.ts`)
    // It was started first: the server is not there yet.
    await client.waitFor(/ECONNREFUSED/)
    const server = run(`${feed}/server.ts`)
    await client.waitFor(/(?:EFX \d+\.\d\d\n){5}/)
    server.kill("SIGTERM")
    await server.exited
    const before = client.output().length
    run(`${feed}/server.ts`)
    await client.waitFor(new RegExp(`^[\\s\\S]{${before}}[\\s\\S]*EFX`))
  })

  it("a chat: what one types the other reads, also after the server has restarted", async () => {
    const first = run(`${chat}/server.ts`)
    await first.waitFor(/Listening on/)
    const bob = run(`${chat}/client.ts`, { args: ["Bob"] })
    const ada = run(`${chat}/client.ts`, { args: ["Ada"] })
    ada.type("hello")
    await bob.waitFor(/Ada: hello/)
    first.kill("SIGTERM")
    await first.exited
    const second = run(`${chat}/server.ts`)
    await second.waitFor(/Listening on/)
    bob.type("still there")
    await ada.waitFor(/Bob: still there/)
  })
})
