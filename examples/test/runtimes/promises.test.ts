/** The promises for connections, on every pair of `pairs.ts`. */
import { TestServer } from "@effect-ws/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import type { TestContext } from "vitest"
import { bundle } from "../../page/bundle.ts"
import { launch } from "../browser.ts"
import { openFirefox } from "../firefox.ts"
import { run as start } from "../support.ts"
import { type Browser, type Pair, pairs } from "./pairs.ts"
import { Programs } from "./programs.ts"
import { names, type Outcome, run } from "./promises.ts"
import { commandOf } from "./Runtimes.ts"
import { startWorker } from "./workerd.ts"

type Outcomes = ReadonlyArray<Outcome>

const inMemory = (): Promise<Outcomes> =>
  run({ url: "ws://memory", isHandshakeHidden: false }).pipe(
    Effect.provide(Programs.pipe(Layer.provideMerge(TestServer.layer()))),
    Effect.runPromise
  )

const serverOf = async ({ server }: Pair, context: TestContext): Promise<string> => {
  if (server === "memory") throw new Error("a server in memory has no address")
  const command = commandOf(server.on, context)
  if (server.by === "workerd") return startWorker(command[0])
  const program = start("test/runtimes/serve.ts", { env: { SERVER: server.by }, runtime: command })
  const [, url] = await program.waitFor(/^listening on (wss?:\/\/\S+)$/m)
  return url!
}

const script = bundle(fileURLToPath(new URL("page.ts", import.meta.url)))

/** A page of a browser: as much as both of them can do. */
interface Page {
  readonly evaluate: (script: string) => Promise<unknown>
  readonly close: () => Promise<void>
}

const openPage: Readonly<Record<Browser, (context: TestContext) => Promise<Page>>> = {
  chromium: async (context) => (await launch(context)).newPage(),
  firefox: openFirefox
}

const inPage = async (page: Page, url: string, by: string): Promise<Outcomes> => {
  await page.evaluate(`{ ${await Effect.runPromise(script)} } undefined`)
  const outcomes = await page.evaluate(`check(${JSON.stringify(url)}, ${JSON.stringify(by)})`)
  await page.close()
  return outcomes as Outcomes
}

const outcomesOf = async (pair: Pair, context: TestContext): Promise<Outcomes> => {
  const { client } = pair
  if (client === "memory") return inMemory()
  if (client.on === "chromium" || client.on === "firefox") {
    return inPage(await openPage[client.on](context), await serverOf(pair, context), client.by)
  }
  const command = commandOf(client.on, context)
  const url = await serverOf(pair, context)
  if (client.on === "workerd") {
    const worker = await startWorker(command[0])
    const response = await fetch(`${worker.replace("ws:", "http:")}/check?url=${encodeURIComponent(url)}`)
    return await response.json() as Outcomes
  }
  // Where a connection was given up, some runtimes keep a process until its peer answers: it is not waited for.
  const program = start("test/runtimes/client.ts", { env: { URL: url, CLIENT: client.by }, runtime: command, patience: 150_000 })
  const [, outcomes] = await program.waitFor(/^outcomes: (.*)$/m)
  return JSON.parse(outcomes!) as Outcomes
}

for (const pair of pairs) {
  describe(`promises for connections: ${pair.name}`, () => {
    it("are kept, but for those that are named", { timeout: 180_000 }, async (context) => {
      const outcomes = await outcomesOf(pair, context)
      assert.deepStrictEqual(outcomes.map(({ name }) => name), names)
      const { broken = {} } = pair
      assert.deepStrictEqual(outcomes.filter(({ fault, name }) => fault !== undefined && broken[name] === undefined), [])
      for (const name of Object.keys(broken)) {
        assert.isDefined(outcomes.find((outcome) => outcome.name === name)?.fault, `${name} is kept, so it is no row of the table`)
      }
    })
  })
}
