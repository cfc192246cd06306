/** A browser for the tests of pages. */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"
import { afterAll, type TestContext } from "vitest"

const findBrowser = (): string | undefined => {
  const { CHROMIUM_PATH } = process.env
  if (CHROMIUM_PATH !== undefined) return CHROMIUM_PATH
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim()
    } catch {
      // The next one, then.
    }
  }
  return undefined
}

let running: Promise<Browser> | undefined
afterAll(async () => (await running)?.close())

/** The browser, started once; where there is none the test is skipped and says so. */
export const launch = (context: TestContext): Promise<Browser> => {
  const executablePath = findBrowser()
  if (executablePath === undefined || !existsSync(executablePath)) {
    return context.skip("no Chromium is installed here (CHROMIUM_PATH names one that is elsewhere)")
  }
  running ??= chromium.launch({
    executablePath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync"
    ]
  })
  return running
}
