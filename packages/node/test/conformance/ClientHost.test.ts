/** The suite as a server, with clients of `ws`: one that speaks Autobahn's language and one that does not. */
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { onTestFinished } from "vitest"
import { WebSocket } from "ws"
import { type Host, serveClients } from "../../src/conformance/ClientHost.ts"
import type { Result } from "../../src/conformance/Runner.ts"
import { select } from "../../src/conformance/Selection.ts"
import { wsClient } from "./wsSubject.ts"

const cases = select("1.1.1,1.1.2,3.1,7.1.1")

const host = async () => {
  const results: Array<readonly [agent: string, result: Result]> = []
  const waiting = new Map<number, () => void>()
  let isDone = false
  let finish = (): void => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  const served: Host = await serveClients({
    host: "127.0.0.1",
    port: 0,
    cases,
    agent: "unnamed",
    onResult: (agent, result) => waiting.get(results.push([agent, result]))?.(),
    onDone: () => {
      isDone = true
      finish()
    }
  })
  onTestFinished(served.close)
  // A client knows that its connection has ended before the suite has judged.
  const until = (count: number) =>
    new Promise<void>((resolve) => results.length >= count ? resolve() : void waiting.set(count, resolve))
  return { ...served, results, until, done, isDone: () => isDone }
}

/** What the host says on a path. */
const ask = async (url: string): Promise<string | undefined> => {
  const socket = new WebSocket(url)
  let said: string | undefined
  socket.on("message", (data) => {
    said = String(data)
  })
  const [code] = await once(socket, "close")
  assert.strictEqual(code, 1000)
  return said
}

describe("ClientHost", () => {
  it("speaks as Autobahn's fuzzing server does", async () => {
    const { done, isDone, results, until, url } = await host()
    assert.strictEqual(await ask(`${url}getCaseCount`), "4")
    assert.deepInclude(JSON.parse((await ask(`${url}getCaseInfo?case=3`))!), { id: "3.1" })
    for (const number of [1, 2, 3, 4]) await wsClient().connect(`${url}runCase?case=${number}&agent=ws`)
    await until(4)
    assert.deepStrictEqual(results.map(([agent, { id, verdict }]) => [agent, id, verdict]), [
      ["ws", "1.1.1", "OK"],
      ["ws", "1.1.2", "OK"],
      ["ws", "3.1", "OK"],
      ["ws", "7.1.1", "OK"]
    ])
    assert.deepStrictEqual(JSON.parse((await ask(`${url}getCaseStatus?case=3&agent=ws`))!), { behavior: "OK" })
    assert.strictEqual(await ask(`${url}runCase?case=99&agent=ws`), undefined)
    assert.isFalse(isDone())
    await ask(`${url}updateReports?agent=ws`)
    await done
  })

  it("gives a client that knows nothing of it one case after the other", async () => {
    const { done, results, until, url } = await host()
    for (const _ of cases) await wsClient().connect(url)
    await until(4)
    assert.deepStrictEqual(results.map(([agent, { id }]) => `${agent} ${id}`), [
      "unnamed 1.1.1",
      "unnamed 1.1.2",
      "unnamed 3.1",
      "unnamed 7.1.1"
    ])
    await done
    // There is nothing left to play.
    assert.strictEqual(await ask(url), undefined)
  })
})
