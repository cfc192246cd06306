import { assert, describe, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import { join, launch, phone, status, type Visitor } from "./browser.ts"
import { network } from "./network.ts"
import { startRedis } from "./redis.ts"
import { run, serve } from "./support.ts"

/** Opens a board and joins by keyboard alone. */
const visit = async (...args: Parameters<typeof join>): Promise<Visitor> => {
  const visitor = await join(...args)
  await visitor.page.getByRole("region", { name: "The board" }).waitFor()
  return visitor
}

const connected = (page: Page) => status(page, /^Connected$/)
const notes = (page: Page, text: string | RegExp) => page.getByRole("article").filter({ hasText: text })
const people = (page: Page) => page.getByRole("list", { name: "Here now" }).getByRole("listitem")

/** Adds a note by keyboard alone. */
const add = async (page: Page, text: string) => {
  await page.keyboard.press("n")
  await page.keyboard.type(text)
  await page.keyboard.press("Enter")
  await notes(page, text).waitFor()
}

/** Waits until every change was confirmed. */
const settled = async (page: Page) => {
  await page.waitForFunction(() => document.querySelector(".note.kept") === null)
}

describe("board page", { timeout: 60_000 }, () => {
  it("lets two people share a board, by keyboard", async (context) => {
    const browser = await launch(context)
    const { url } = await serve("board/server.ts")
    const ada = await visit(browser, url, "Ada")
    await ada.page.getByText("Nothing here yet.").waitFor()
    const bob = await visit(browser, url, "Bob")
    for (const { page } of [ada, bob]) {
      for (const name of ["Ada", "Bob"]) await people(page).filter({ hasText: name }).waitFor()
    }

    await add(ada.page, "buy milk")
    await notes(bob.page, "buy milk").waitFor()
    assert.isTrue(await bob.page.getByText("Nothing here yet.").isHidden())

    // Bob moves, paints, writes and removes it.
    const note = notes(bob.page, "buy milk")
    await note.focus()
    const before = await note.boundingBox()
    await bob.page.keyboard.press("Shift+ArrowRight")
    await ada.page.waitForFunction((left) => (document.querySelector(".note")?.getBoundingClientRect().left ?? 0) > left + 90, before!.x)
    await bob.page.keyboard.press("c")
    await ada.page.getByRole("article", { name: "pink note: buy milk" }).waitFor()
    await bob.page.keyboard.press("Enter")
    await bob.page.getByLabel("The note's text").press("End")
    await bob.page.keyboard.type(" and bread")
    await bob.page.keyboard.press("Enter")
    await notes(ada.page, "buy milk and bread").waitFor()
    await bob.page.keyboard.press("Delete")
    await ada.page.getByText("Nothing here yet.").waitFor()

    // Pointers are seen, and go with their people.
    await bob.page.mouse.move(300, 300)
    await bob.page.mouse.move(320, 310)
    await ada.page.locator(".cursor").filter({ hasText: "Bob" }).waitFor()
    await bob.page.context().close()
    await people(ada.page).filter({ hasText: "Bob" }).waitFor({ state: "detached" })
    assert.deepStrictEqual([...ada.faults, ...bob.faults], [])
  })

  it("is dragged by mouse", async (context) => {
    const browser = await launch(context)
    const { url } = await serve("board/server.ts")
    const { page } = await visit(browser, url, "Ada")
    await add(page, "heavy")
    const before = (await notes(page, "heavy").boundingBox())!
    await page.mouse.move(before.x + 30, before.y + 30)
    await page.mouse.down()
    await page.mouse.move(before.x + 130, before.y + 80, { steps: 5 })
    await page.mouse.up()
    await settled(page)
    await page.waitForFunction(
      ([x, y]) => {
        const { left, top } = document.querySelector(".note")!.getBoundingClientRect()
        return Math.abs(left - x!) < 2 && Math.abs(top - y!) < 2
      },
      [before.x + 100, before.y + 50]
    )
  })

  it("has boards of their own for each address", async (context) => {
    const browser = await launch(context)
    const { url } = await serve("board/server.ts")
    const { page } = await visit(browser, url, "Ada")
    await add(page, "on welcome")
    await page.getByRole("button", { name: /welcome/ }).click()
    await page.keyboard.type("Plans for Friday")
    await page.keyboard.press("Enter")
    await page.getByText("Nothing here yet.").waitFor()
    assert.strictEqual(new URL(page.url()).hash, "#plans-for-friday")
    const other = await visit(browser, `${url}/#plans-for-friday`, "Bob")
    await add(other.page, "friday")
    await notes(page, "friday").waitFor()
    await page.goBack()
    await notes(page, "on welcome").waitFor()
    assert.strictEqual(await notes(page, "friday").count(), 0)
  })

  it("shows what looks like HTML as text", async (context) => {
    const browser = await launch(context)
    const { url } = await serve("board/server.ts")
    const eve = await visit(browser, url, "<b>Eve</b>")
    const ada = await visit(browser, url, "Ada")
    const text = "<img src=x onerror=alert(1)>"
    await add(eve.page, text)
    await notes(ada.page, text).waitFor()
    assert.strictEqual(await ada.page.locator(".note img, .people b").count(), 0)
    assert.deepStrictEqual([...ada.faults, ...eve.faults], [])
  })

  it("fits a phone, and shows where the notes are", async (context) => {
    const browser = await launch(context)
    const { url } = await serve("board/server.ts")
    const ada = await visit(browser, url, "Ada")
    await add(ada.page, "in the middle of a large screen")
    const { page } = await visit(browser, url, "W".repeat(24), phone)
    await notes(page, "in the middle").waitFor()
    assert.isTrue(await notes(page, "in the middle").evaluate((note) => note.getBoundingClientRect().right < innerWidth))
    const wide = await page.evaluate(() =>
      [...document.querySelectorAll("html, body, main, header")]
        .filter((element) => element.scrollWidth > element.clientWidth)
        .map(({ tagName }) => tagName)
    )
    assert.deepStrictEqual(wide, [])
    const box = await page.getByRole("button", { name: "Add a note" }).boundingBox()
    assert.isTrue(box !== null && box.x + box.width <= phone.width && box.y + box.height <= phone.height && box.height >= 44)
    await page.getByRole("region", { name: "The board" }).evaluate((board) => board.scrollTo({ left: 2400, top: 1600 }))
    await page.getByRole("button", { name: "Go to the notes" }).click()
    await page.getByRole("button", { name: "Go to the notes" }).waitFor({ state: "hidden" })
  })

  it("is edited while there is no connection", async (context) => {
    const browser = await launch(context)
    const server = await serve("board/server.ts")
    const { cut, leadTo, url } = await network(server.port)
    const ada = await visit(browser, url, "Ada")
    const bob = await visit(browser, server.url, "Bob")
    await add(ada.page, "before")
    await notes(bob.page, "before").waitFor()

    cut()
    await status(ada.page, /^(?:Offline|Reconnecting)/)
    await add(ada.page, "while away")
    await ada.page.keyboard.press("c")
    await status(ada.page, /3 changes kept$/)
    await add(bob.page, "meanwhile")
    assert.strictEqual(await notes(bob.page, "while away").count(), 0)

    leadTo(server.port)
    await connected(ada.page)
    await bob.page.getByRole("article", { name: "pink note: while away" }).waitFor()
    await notes(ada.page, "meanwhile").waitFor()
    await settled(ada.page)
    for (const { page } of [ada, bob]) assert.strictEqual(await page.getByRole("article").count(), 3)
  })

  it("goes on with another server, when one is killed", async (context) => {
    const browser = await launch(context)
    const redis = await startRedis(context)
    const servers = [await serve("board/server.ts", { REDIS_URL: redis.url }), await serve("board/server.ts", { REDIS_URL: redis.url })] as const
    const { cut, leadTo, url } = await network(servers[0].port)
    const ada = await visit(browser, url, "Ada")
    const bob = await visit(browser, servers[1].url, "Bob")
    for (const name of ["Ada", "Bob"]) await people(bob.page).filter({ hasText: name }).waitFor()
    await add(ada.page, "through the first")
    await notes(bob.page, "through the first").waitFor()

    servers[0].kill("SIGKILL")
    await servers[0].exited
    await status(ada.page, /^(?:Offline|Reconnecting)/)
    await add(ada.page, "without a server")
    await add(bob.page, "through the second")
    cut()
    leadTo(servers[1].port)
    await connected(ada.page)
    for (const { page } of [ada, bob]) {
      for (const text of ["through the first", "without a server", "through the second"]) await notes(page, text).waitFor()
      assert.strictEqual(await page.getByRole("article").count(), 3)
    }

    // A third one, which knows nothing but what is in Redis.
    const { page } = await visit(browser, (await serve("board/server.ts", { REDIS_URL: redis.url })).url, "Cleo")
    await notes(page, "through the second").waitFor()
    assert.strictEqual(await page.getByRole("article").count(), 3)
  })
})

describe("board in a terminal", { timeout: 60_000 }, () => {
  it("shows and changes a board that a page shows too", async (context) => {
    const browser = await launch(context)
    const { url } = await serve("board/server.ts")
    const { page } = await visit(browser, url, "Ada")
    await add(page, "from the page")
    const bob = run("board/client.ts", { args: ["--name", "Bob", "--url", `${url.replace("http", "ws")}/topics`] })
    await bob.waitFor(/ {2}\w{4} {2}yellow {2}from the page/)
    await people(page).filter({ hasText: "Bob" }).waitFor()
    await bob.waitFor(/Here now: Ada, Bob/)
    bob.type("add from the terminal")
    await notes(page, "from the terminal").waitFor()
    await page.keyboard.press("c")
    await bob.waitFor(/"from the page" is pink now/)
    bob.type("dance")
    await bob.waitFor(/What is "dance"/)
    bob.endInput()
    assert.deepStrictEqual(await bob.exited, { code: 0, signal: null })
    await people(page).filter({ hasText: "Bob" }).waitFor({ state: "detached" })
  })
})
