import { assert, describe, it } from "@effect/vitest"
import type { CloseCode } from "@effect-ws/core"
import { plain } from "../../../src/cli/terminal/Style.ts"
import { describe as words, isFine, meaningOf } from "../../../src/cli/text/Closing.ts"

const info = (code: number, rest: Partial<CloseCode.CloseInfo> = {}): CloseCode.CloseInfo => ({
  code,
  reason: "",
  initiator: "remote",
  clean: true,
  ...rest
})

describe("Closing", () => {
  it("says who closed, with what, and what it means", () => {
    assert.strictEqual(
      words(info(1009, { reason: "big\n" }), plain),
      "Closed by the server with 1009 Message Too Big: big\\n (a message is larger than the sender of the Close accepts)"
    )
    assert.match(words(info(1000, { initiator: "local" }), plain), /^Closed by this side with 1000 Normal Closure \(/)
    assert.match(words(info(1000), plain, "server"), /^Closed by the client with/)
    assert.match(words(info(1006, { clean: false }), plain), /^Closed with 1006 Abnormal Closure \(the connection broke/)
    assert.include(words(info(1000, { clean: false }), plain), "not cleanly")
  })

  it("knows a meaning for every code", () => {
    for (let code = 1000; code < 5000; code++) assert.isAbove(meaningOf(code).length, 10)
    assert.include(meaningOf(4001), "a code of the application")
    assert.include(meaningOf(3000), "library or framework")
    assert.include(meaningOf(2000), "not assigned")
  })

  it("takes no complaint and no broken connection for a good end", () => {
    const fine = [1000, 1001, 1005].filter((code) => isFine(info(code)))
    assert.deepStrictEqual(fine, [1000, 1001, 1005])
    assert.isFalse(isFine(info(1011)))
    assert.isFalse(isFine(info(1000, { clean: false })))
  })
})
