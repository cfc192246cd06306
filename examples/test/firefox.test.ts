/** The pages of the examples in Firefox; the tests of each page run in Chromium. */
import { describe, it } from "@effect/vitest"
import type { TestContext } from "vitest"
import { type FirefoxPage, Key, openFirefox } from "./firefox.ts"
import { serve } from "./support.ts"

/** Opens a page and joins, by keyboard alone. */
const visit = async (context: TestContext, url: string, name: string): Promise<FirefoxPage> => {
  const page = await openFirefox(context)
  await page.goto(url)
  // The field has the focus already.
  await page.until(`document.activeElement?.id === "name"`)
  await page.type(name + Key.enter)
  await page.until(`document.querySelector("[role=status]").textContent.startsWith("Connected")`)
  return page
}

/** Waits until an element has a text. */
const shows = (page: FirefoxPage, selector: string, text: string) =>
  page.until(`[...document.querySelectorAll(${JSON.stringify(selector)})].some((element) =>
    element.textContent.includes(${JSON.stringify(text)}))`)

describe("pages in Firefox", { timeout: 120_000 }, () => {
  it("let two people chat", async (context) => {
    const { url } = await serve("chat/server.ts")
    const ada = await visit(context, url, "Ada")
    const bob = await visit(context, url, "Bob")
    await shows(ada, "#people li", "Bob")
    await bob.evaluate(`document.getElementById("text").focus()`)
    await bob.type(`hello from Bob${Key.enter}`)
    await shows(ada, "#log article", "hello from Bob")
    await bob.close()
    await shows(ada, "#log", "Bob left")
  })

  it("let two people share a board", async (context) => {
    const { url } = await serve("board/server.ts")
    const ada = await visit(context, url, "Ada")
    const bob = await visit(context, url, "Bob")
    await shows(ada, "#people li", "Bob")
    await bob.type("n")
    await bob.type(`buy milk${Key.enter}`)
    await shows(ada, "[role=article], article", "buy milk")
    await bob.close()
    await ada.until(`document.querySelectorAll("#people li").length === 1`)
  })
})
