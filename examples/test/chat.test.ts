import { assert, describe, it } from "@effect/vitest"
import { type Program, run, serve } from "./support.ts"
import { connect, type Peer } from "./ws.ts"

const join = (url: string, name: string): Program =>
  run("chat/client.ts", { args: ["--name", name, "--url", `${url.replace("http", "ws")}/chat`] })

const open = (url: string) => connect(`${url.replace("http", "ws")}/chat`)

/** The next message of a kind; the others are skipped. */
const next = async (peer: Peer, tag: string) => {
  for (;;) {
    const message = JSON.parse(String(await peer.next()))
    if (message._tag === tag) return message
  }
}

describe("chat", { timeout: 60_000 }, () => {
  it("connects two command-line clients", async () => {
    const { url } = await serve("chat/server.ts")
    const ada = join(url, "Ada")
    await ada.waitFor(/You are Ada\. Here now: Ada$/m)
    ada.type("anybody there?")
    await ada.waitFor(/Ada: anybody there\?/)

    const bob = join(url, "Bob")
    // What was said before is shown to who comes later.
    await bob.waitFor(/Ada: anybody there\?\n(?:.*\n)*You are Bob\. Here now: Ada, Bob$/m)
    await ada.waitFor(/Bob joined/)
    bob.type("hello Ada")
    await ada.waitFor(/Bob: hello Ada/)

    // What may not be said is not sent, and said so.
    bob.type("red \u001b[31m")
    await bob.waitFor(/^Not sent: a message has no control characters$/m)

    // The end of the input leaves; so does Ctrl-C.
    bob.endInput()
    assert.deepStrictEqual(await bob.exited, { code: 0, signal: null })
    await ada.waitFor(/Bob left/)
    const watcher = await open(url)
    watcher.send(JSON.stringify({ _tag: "Join", name: "Watcher" }))
    await next(watcher, "Welcome")
    ada.kill("SIGINT")
    assert.deepStrictEqual(await ada.exited, { code: 130, signal: null })
    assert.strictEqual((await next(watcher, "Left")).name, "Ada")
  })

  it("tells its command-line clients when it stops", async () => {
    const server = await serve("chat/server.ts")
    const ada = join(server.url, "Ada")
    await ada.waitFor(/You are Ada/)
    server.kill("SIGTERM")
    await ada.waitFor(/^The chat ended: 1001/m)
    assert.deepStrictEqual(await ada.exited, { code: 0, signal: null })
    assert.strictEqual((await server.exited).code, 130)
  })

  it("tells why it cannot be reached", async () => {
    const server = await serve("chat/server.ts")
    const url = `${server.url.replace("http", "ws")}/nowhere`
    const lost = run("chat/client.ts", { args: ["--name", "Ada", "--url", url] })
    assert.strictEqual((await lost.exited).code, 1)
    assert.match(lost.output(), /^HandshakeError: .*404/m)
  })

  it("says so where its port is taken", async () => {
    const { port } = await serve("chat/server.ts")
    const second = run("chat/server.ts", { env: { PORT: `${port}` } })
    assert.strictEqual((await second.exited).code, 1)
    assert.match(second.output(), /^cannot listen there: .*EADDRINUSE.*\(PORT chooses another port\)$/m)
  })

  it("gives a name to one person only", async () => {
    const { url } = await serve("chat/server.ts")
    const names: Array<string> = []
    for (const name of ["Ada", "ada", "Ada"]) {
      const peer = await open(url)
      peer.send(JSON.stringify({ _tag: "Join", name }))
      names.push((await next(peer, "Welcome")).name)
    }
    assert.deepStrictEqual(names, ["Ada", "ada 2", "Ada 3"])
  })

  it("measures how far away everybody is", async () => {
    const { url } = await serve("chat/server.ts")
    const peer = await open(url)
    peer.send(JSON.stringify({ _tag: "Join", name: "Ada" }))
    for (;;) {
      const { people: [{ latencyMillis, name }] } = await next(peer, "People")
      assert.strictEqual(name, "Ada")
      if (latencyMillis === null) continue
      assert.isTrue(latencyMillis > 0 && latencyMillis < 2000, `${latencyMillis}`)
      break
    }
  })

  it("refuses what is no proper first message", async () => {
    const { url } = await serve("chat/server.ts")
    for (
      const message of [
        "no JSON",
        JSON.stringify({ _tag: "Say", text: "hello" }),
        JSON.stringify({ _tag: "Join", name: "" }),
        JSON.stringify({ _tag: "Join", name: "x".repeat(25) }),
        JSON.stringify({ _tag: "Join", name: "A\u001b[2J" }),
        Buffer.from(JSON.stringify({ _tag: "Join", name: "Ada" }))
      ]
    ) {
      const peer = await open(url)
      peer.send(message)
      assert.strictEqual((await peer.closed).code, 1008, String(message))
    }
  })

  it("complains about what breaks the protocol later, to its sender alone", async () => {
    const { url } = await serve("chat/server.ts")
    const [ada, bob] = await Promise.all([open(url), open(url)])
    ada.send(JSON.stringify({ _tag: "Join", name: "Ada" }))
    await next(ada, "Welcome")
    bob.send(JSON.stringify({ _tag: "Join", name: "Bob" }))
    await next(bob, "Welcome")
    const complaints: Array<string> = []
    for (const text of ["x".repeat(2001), "", "\u0000"]) {
      ada.send(JSON.stringify({ _tag: "Say", text }))
      complaints.push((await next(ada, "Problem")).text)
    }
    assert.deepStrictEqual(complaints, [
      "a message has at most 2000 characters",
      "a message is not empty",
      "a message has no control characters"
    ])
    ada.send(JSON.stringify({ _tag: "Say", text: "x".repeat(2000) }))
    assert.strictEqual((await next(bob, "Said")).text, "x".repeat(2000))
    // Beyond what JSON of any proper message can need.
    ada.send("x".repeat(20_000))
    assert.strictEqual((await ada.closed).code, 1009)
  })
})
