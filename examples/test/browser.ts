/** A browser for the tests of pages, and those who visit them. */
import type { Browser, Page } from "playwright-core"
import { afterAll, onTestFinished, type TestContext } from "vitest"
import * as Chromium from "../../packages/node/test/support/Chromium.ts"

let running: Promise<Browser> | undefined
afterAll(async () => (await running)?.close())

/** The browser, started once; where there is none the test is skipped and says so. */
export const launch = (context: TestContext): Promise<Browser> => {
  if (Chromium.missing !== undefined) return context.skip(Chromium.missing)
  running ??= Chromium.launch()
  return running
}

export const phone = { width: 360, height: 740 }
const desktop = { width: 1200, height: 800 }

export interface Visitor {
  readonly page: Page
  /** What the page complained about: errors of scripts, refused resources. */
  readonly faults: Array<string>
}

/** Opens a page, each time as a visitor of its own, who is gone when the test is over. */
export const open = async (browser: Browser, url: string, viewport = desktop): Promise<Visitor> => {
  const context = await browser.newContext({ viewport })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  const faults: Array<string> = []
  page.on("pageerror", (error) => faults.push(String(error)))
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()))
  await page.goto(url)
  return { page, faults }
}

/** Waits until the page says this about its connection. */
export const status = (page: Page, text: string | RegExp) => page.getByRole("status").filter({ hasText: text }).waitFor()

/** Opens the page of the board or the chat and joins by keyboard alone. */
export const join = async (browser: Browser, url: string, name: string, viewport?: typeof desktop): Promise<Visitor> => {
  const visitor = await open(browser, url, viewport)
  // The field has the focus already.
  await visitor.page.keyboard.type(name)
  await visitor.page.keyboard.press("Enter")
  await status(visitor.page, /^Connected/)
  return visitor
}
