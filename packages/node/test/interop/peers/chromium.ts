/** Chromium without a window, as a client: a page that our server gives it, and commands to that page. */
import type { Page } from "playwright-core"
import { launch, missing } from "../../support/Chromium.ts"
import type { Ability, ConnectOptions, Found, PeerClient, PeerSocket } from "../peer.ts"
import { type Event, Remote } from "./remote.ts"

// Its requests have the page's cookies and no headers of the caller's choice.
const abilities: ReadonlySet<Ability> = new Set<Ability>(["keepsBom", "emptyClose"])

export interface ChromiumClient extends PeerClient {
  readonly page: Page
  /** What the browser wrote to its console. */
  readonly seen: ReadonlyArray<string>
  /** Connects to `url` from the page of another server. */
  readonly connectFrom: (home: string, url: string) => Promise<PeerSocket>
}

const start = async (): Promise<ChromiumClient> => {
  const browser = await launch()
  const page = await browser.newPage()
  const remote = new Remote("client", (command) => {
    // As text, since Playwright's own way of passing values is slow for thousands of them.
    // A page that is gone has ended its connections.
    page.evaluate((text) => void Reflect.get(globalThis, "command")(JSON.parse(text)), JSON.stringify(command))
      .catch(() => undefined)
  })
  await page.exposeFunction("report", (events: string) => {
    for (const event of JSON.parse(events) as ReadonlyArray<Event>) remote.onEvent(event)
  })
  const seen: Array<string> = []
  page.on("console", (message) => void seen.push(message.text()))
  const connect = async (home: string, url: string, options: ConnectOptions) => {
    await page.goto(home.replace("ws:", "http:"))
    return await remote.connect(url, options)
  }
  return {
    page,
    seen,
    connectFrom: (home, url) => connect(home, url, {}),
    connect: (url, options) => connect(url, url, options),
    stop: () => browser.close()
  }
}

export const chromiumClient: Found<ChromiumClient> = {
  name: "Chromium",
  abilities,
  missing,
  start
}
