import { assert, describe, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import { join, launch, phone, status } from "./browser.ts"
import { network } from "./network.ts"
import { serve } from "./support.ts"

const say = async (page: Page, text: string) => {
  await page.getByLabel("Message", { exact: true }).fill(text)
  await page.keyboard.press("Enter")
}

const said = (page: Page, text: string) => page.getByRole("log").getByRole("article").filter({ hasText: text })

/** The parts of the page that would have to be scrolled sideways. The list of names may, on a phone. */
const tooWide = (page: Page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("html, body, main, .conversation, #scroller, #log")]
      .filter((element) => element.scrollWidth > element.clientWidth)
      .map((element) => `${element.tagName} ${element.id}`)
  )

describe("chat page", { timeout: 60_000 }, () => {
  it("lets two visitors chat, by keyboard", async (context) => {
    const browser = await launch(context)
    const { url } = await serve("chat/server.ts")
    const ada = await join(browser, url, "Ada")
    await ada.page.getByText("Nothing has been said yet.").waitFor()
    const bob = await join(browser, url, "Bob")

    for (const { page } of [ada, bob]) {
      const here = page.getByRole("complementary").getByRole("listitem")
      await here.filter({ hasText: "Ada" }).waitFor()
      await here.filter({ hasText: "Bob" }).waitFor()
      assert.strictEqual(await here.count(), 2)
    }
    await ada.page.getByRole("log").getByText("Bob joined").waitFor()

    await say(ada.page, "hello from Ada")
    await said(bob.page, "hello from Ada").waitFor()
    assert.match(await said(bob.page, "hello from Ada").innerText(), /^Ada /)
    assert.match(await said(ada.page, "hello from Ada").innerText(), /^You /)
    assert.isTrue(await ada.page.getByText("Nothing has been said yet.").isHidden())

    // Shift+Enter starts a line, Enter sends; the field is empty again.
    await bob.page.getByLabel("Message", { exact: true }).focus()
    await bob.page.keyboard.type("one")
    await bob.page.keyboard.press("Shift+Enter")
    await bob.page.keyboard.type("two")
    await bob.page.keyboard.press("Enter")
    await said(ada.page, "one\ntwo").waitFor()
    assert.strictEqual(await bob.page.getByLabel("Message", { exact: true }).inputValue(), "")

    // The round trip, of oneself above and of everybody beside the names.
    await status(ada.page, /Connected · [\d.]+ ms/)
    await ada.page.getByRole("listitem").filter({ hasText: /Bob.*\d ms/s }).waitFor()

    await bob.page.close()
    await ada.page.getByRole("log").getByText("Bob left").waitFor()
    assert.deepStrictEqual(ada.faults, [])
    assert.deepStrictEqual(bob.faults, [])
  })

  it("shows what looks like HTML as text", async (context) => {
    const browser = await launch(context)
    const { url } = await serve("chat/server.ts")
    const name = "<b>Eve</b>"
    const eve = await join(browser, url, name)
    const ada = await join(browser, url, "Ada")
    const text = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    await say(eve.page, text)
    for (const { page } of [ada, eve]) {
      await said(page, text).waitFor()
      assert.strictEqual(await page.locator("main img, main script, main b b").count(), 0)
    }
    await ada.page.getByRole("listitem").filter({ hasText: name }).waitFor()
    assert.deepStrictEqual([...ada.faults, ...eve.faults], [])
  })

  it("fits a phone, whatever is said", async (context) => {
    const browser = await launch(context)
    const { url } = await serve("chat/server.ts")
    const { page } = await join(browser, url, "W".repeat(24), phone)
    await say(page, "W".repeat(1500))
    await said(page, "WWW").waitFor()
    assert.deepStrictEqual(await tooWide(page), [])
    // The place to write is on the screen, and large enough for a finger.
    for (const part of [page.getByLabel("Message", { exact: true }), page.getByRole("button", { name: "Send" })]) {
      const box = await part.boundingBox()
      assert.isTrue(box !== null && box.y + box.height <= phone.height && box.height >= 44, JSON.stringify(box))
    }
  })

  it("reconnects by itself, keeps what was typed and shows nothing twice", async (context) => {
    const browser = await launch(context)
    const server = await serve("chat/server.ts")
    const { cut, leadTo, url } = await network(server.port)
    const { page } = await join(browser, url, "Ada")
    await say(page, "before")
    await said(page, "before").waitFor()

    cut()
    await status(page, "Reconnecting")
    await say(page, "in between")
    assert.strictEqual(await page.getByLabel("Message", { exact: true }).inputValue(), "in between")

    leadTo(server.port)
    await status(page, /^Connected/)
    await page.getByLabel("Message", { exact: true }).press("Enter")
    await said(page, "in between").waitFor()
    assert.strictEqual(await said(page, "before").count(), 1)
  })

  it("finds its server again after a restart", async (context) => {
    const browser = await launch(context)
    const first = await serve("chat/server.ts")
    const { cut, leadTo, url } = await network(first.port)
    const { page } = await join(browser, url, "Ada")
    first.kill("SIGTERM")
    await first.exited
    await status(page, "Reconnecting")
    cut()
    leadTo((await serve("chat/server.ts")).port)
    await page.getByRole("log").getByText("Connected again").waitFor()
    await say(page, "after")
    await said(page, "after").waitFor()
  })
})
