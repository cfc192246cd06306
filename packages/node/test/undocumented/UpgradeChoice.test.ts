import { assert, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import * as UpgradeChoice from "../../src/undocumented/UpgradeChoice.ts"

const ask = (server: Http.Server, url: string): unknown =>
  (server as object as { readonly shouldUpgradeCallback: (message: { readonly url: string }) => unknown })
    .shouldUpgradeCallback({ url })

describe("UpgradeChoice", () => {
  it("asks beside what the server says itself, until it is undone", () => {
    const said: Array<string | undefined> = []
    const server = Object.assign(Http.createServer(), {
      shouldUpgradeCallback: ({ url }: Http.IncomingMessage) => {
        said.push(url)
        return url !== "/no"
      }
    })
    const undo = UpgradeChoice.choose(server, ({ url }) => url !== "/ordinary", true)
    assert.deepStrictEqual(["/", "/no", "/ordinary"].map((url) => ask(server, url)), [true, false, false])
    assert.deepStrictEqual(said, ["/", "/no"])
    undo()
    assert.isTrue(ask(server, "/ordinary"))
  })

  it("leaves alone what came later", () => {
    const server = Object.assign(Http.createServer(), { shouldUpgradeCallback: () => true })
    const first = UpgradeChoice.choose(server, ({ url }) => url !== "/first", true)
    const second = UpgradeChoice.choose(server, ({ url }) => url !== "/second", true)
    first()
    assert.isFalse(ask(server, "/second"))
    second()
    assert.isTrue(ask(server, "/second"))
  })

  it("leaves a Node alone that cannot be told, or need not be", () => {
    const untold = Object.assign(Http.createServer(), { shouldUpgradeCallback: undefined })
    UpgradeChoice.choose(untold, () => true, true)()
    assert.isUndefined(untold.shouldUpgradeCallback)
    const server = Object.assign(Http.createServer(), { shouldUpgradeCallback: () => true })
    UpgradeChoice.choose(server, () => false, false)
    assert.isTrue(ask(server, "/"))
  })
})
