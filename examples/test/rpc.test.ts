/** The RPC service: with a client on Node, and with its page in a browser. */
import { assert, describe, it } from "@effect/vitest"
import { Handlers } from "../rpc/Handlers.ts"
import { Api, NotFactored } from "../rpc/Api.ts"
import * as Effect from "effect/Effect"
import { RpcTest } from "effect/rpc"
import type { Browser } from "playwright-core"
import { launch, open, phone, status } from "./browser.ts"
import { run, serve } from "./support.ts"

const visit = async (browser: Browser, url: string, viewport?: typeof phone) => {
  const visitor = await open(browser, url, viewport)
  await status(visitor.page, "Connected")
  return visitor
}

describe("rpc", { timeout: 60_000 }, () => {
  it.effect("takes numbers apart, and refuses what it cannot", () =>
    Effect.gen(function*() {
      const rpc = yield* RpcTest.makeClient(Api)
      const product = (n: bigint) => Effect.map(rpc.Factor({ n }), (factors) => factors.join(" "))
      assert.strictEqual(yield* product(2n), "2")
      assert.strictEqual(yield* product(360_360n), "2 2 2 3 3 5 7 11 13")
      assert.strictEqual(yield* product(999_983n * 999_979n), "999979 999983")
      assert.strictEqual(yield* product(10n ** 12n), `${"2 ".repeat(12)}${"5 ".repeat(12)}`.trim())
      for (const n of [1n, 0n, -6n, 10n ** 12n + 1n]) {
        assert.instanceOf(yield* Effect.flip(rpc.Factor({ n })), NotFactored)
      }
    }).pipe(Effect.scoped, Effect.provide(Handlers)))

  it("serves a client on Node: unary, failing and streaming calls", async () => {
    const { url } = await serve("rpc/server.ts")
    const client = run("rpc/client.ts", { args: [`${url.replace("http", "ws")}/rpc`, "360360", "1"] })
    assert.deepStrictEqual(await client.exited, { code: 0, signal: null })
    const lines = client.output().trim().split("\n")
    assert.strictEqual(lines[0], "360360 = 2 × 2 × 2 × 3 × 3 × 5 × 7 × 11 × 13")
    assert.match(lines[1]!, /^1: Only whole numbers/)
    assert.strictEqual(lines.length, 5)
    for (const line of lines.slice(2)) assert.match(line, /^1 open, \d+ % CPU, \d+\.\d MiB$/)
  })

  it("serves a page in a browser: asks, watches, pauses, and sees its server go", async (context) => {
    const browser = await launch(context)
    const server = await serve("rpc/server.ts")
    const { faults, page } = await visit(browser, server.url)
    const answers = page.getByRole("log").getByRole("listitem")
    const number = page.getByLabel("A whole number")

    // The field has the focus already.
    await page.keyboard.press("Enter")
    await answers.filter({ hasText: "360360 = 2³ × 3² × 5 × 7 × 11 × 13" }).waitFor()
    await number.fill("999983")
    await page.getByRole("button", { name: "Factor" }).click()
    await answers.filter({ hasText: "999983 is prime" }).waitFor()
    const alert = page.getByRole("alert")
    await number.fill("1")
    await number.press("Enter")
    await alert.filter({ hasText: "from 2 on" }).waitFor()
    await number.fill("<b>2</b>")
    await number.press("Enter")
    await alert.filter({ hasText: "A whole number, please." }).waitFor()
    assert.strictEqual(await answers.count(), 2)

    const open = page.locator("#connections .figure")
    await open.filter({ hasText: /^1$/ }).waitFor()
    await page.locator("#heap .figure").filter({ hasText: /^\d+\.\d MiB$/ }).waitFor()
    const other = await visit(browser, server.url, phone)
    await open.filter({ hasText: /^2$/ }).waitFor()
    assert.isTrue(await other.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "fits a phone")

    await page.getByRole("button", { name: "Pause" }).click()
    await other.page.close()
    await page.getByRole("button", { name: "Resume" }).click()
    await open.filter({ hasText: /^1$/ }).waitFor()
    assert.deepStrictEqual([...faults, ...other.faults], [])

    server.kill("SIGTERM")
    await server.exited
    await page.getByRole("status").filter({ hasText: "Reconnecting" }).waitFor()
  })
})
