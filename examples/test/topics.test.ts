import { assert, describe, it } from "@effect/vitest"
import { audit, parsed, publish, subscribe, topicServer } from "./topics.ts"
import { run } from "./support.ts"

describe("topics", { timeout: 120_000 }, () => {
  it("publishes lines, and prints each publication to who is subscribed", async () => {
    const { url } = await topicServer()
    const subscriber = await subscribe(url)
    const publisher = publish(url)
    publisher.more(500)
    publisher.endInput()
    assert.deepStrictEqual(await publisher.exited, { code: 0, signal: null })
    const acknowledged = publisher.acknowledged()
    assert.deepStrictEqual(acknowledged.map(({ offset }) => offset), Array.from({ length: 500 }, (_, i) => i + 1))
    assert.strictEqual(new Set(acknowledged.map(({ key }) => key)).size, 500)
    await subscriber.waitForLines(500)
    assert.deepStrictEqual(audit(subscriber, acknowledged), [])

    // What is kept can be had later, from any position.
    const [, , third] = acknowledged
    const later = await subscribe(url, "--since", `${third.epoch}:498`)
    await later.waitForLines(2)
    assert.deepStrictEqual(parsed(later), acknowledged.slice(498).map(({ epoch, offset, value }) => ({ epoch, offset, value })))
    const all = await subscribe(url, "--since", "start")
    await all.waitForLines(500)
  })

  it("survives servers that are killed: what was lost with the memory of one is a gap", async () => {
    let server = await topicServer()
    const { port, url } = server
    const subscribers = [await subscribe(url), await subscribe(url)]
    const publisher = publish(url)
    for (let round = 1; round <= 3; round++) {
      publisher.more(200)
      // Some are under way when it dies.
      await publisher.acknowledges(round * 200 - 150)
      server.kill("SIGKILL")
      await server.exited
      publisher.more(100)
      server = await topicServer({ PORT: String(port) })
      await publisher.acknowledges(round * 300)
      for (const subscriber of subscribers) await subscriber.waitFor(new RegExp(`(?:"gap"[^]*){${round}}`))
    }
    publisher.endInput()
    assert.deepStrictEqual(await publisher.exited, { code: 0, signal: null })
    const acknowledged = publisher.acknowledged()
    assert.lengthOf(acknowledged, 900)
    const last = acknowledged.at(-1)!
    for (const subscriber of subscribers) {
      await subscriber.waitFor(new RegExp(`"epoch":"${last.epoch}","offset":${last.offset},"value"`))
      assert.deepStrictEqual(audit(subscriber, acknowledged), ["epoch", "epoch", "epoch"])
    }
  })

  it("says what history no longer reaches", async () => {
    const { url } = await topicServer({ HISTORY: "10" })
    const publisher = publish(url)
    publisher.more(100)
    publisher.endInput()
    await publisher.exited
    const [{ epoch }] = publisher.acknowledged()
    const subscriber = await subscribe(url, "--since", `${epoch}:50`)
    await subscriber.waitForLines(11)
    assert.deepStrictEqual(parsed<object>(subscriber)[0], { gap: { reason: "history", from: { epoch, offset: 50 }, to: { epoch, offset: 90 } } })
  })

  it("says which line was not acknowledged, and why", async () => {
    const { url } = await topicServer()
    const publisher = run("topics/client.ts", { args: ["publish", url, "room/1"] })
    publisher.type("1")
    publisher.type("{")
    publisher.type("")
    publisher.type("2")
    publisher.endInput()
    assert.deepStrictEqual(await publisher.exited, { code: 1, signal: null })
    assert.lengthOf(publisher.lines(), 2)
    assert.match(publisher.output(), /^not acknowledged: \{: /m)
    const elsewhere = run("topics/client.ts", { args: ["subscribe", url, "hall/1"] })
    assert.strictEqual((await elsewhere.exited).code, 1)
    assert.match(elsewhere.output(), /room\/7/)
  })
})
