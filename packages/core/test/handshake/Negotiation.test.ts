import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Extension from "../../src/Extension.ts"
import type { MessageExtension } from "../../src/MessageExtension.ts"
import * as Negotiation from "../../src/handshake/Negotiation.ts"
import * as RunLength from "../support/RunLength.ts"

const parse = (value: string) => Result.getOrThrow(Extension.parse([value]))
const response = { status: 101, headers: [] }

/** An extension that takes and accepts one parameter, and says which one was opened. */
const only = (name: string, param: string, opened: Array<string> = []): MessageExtension => {
  const open = () => {
    opened.push(param)
    return RunLength.open()
  }
  return {
    name,
    offers: [[{ name: param }]],
    agree: ({ params }) => params[0]?.name === param ? Result.succeed({ open }) : Result.fail(`no ${param}`),
    answer: ({ params }) => params[0]?.name === param ? { params, open } : undefined
  }
}

const answered = (extensions: ReadonlyArray<MessageExtension>, offers: string): string | undefined => {
  const chosen = Negotiation.answer(extensions, parse(offers))
  return chosen && Result.getOrThrow(Extension.format([chosen.header]))
}

const refused = (extensions: ReadonlyArray<MessageExtension>, answer: string): string => {
  const result = Negotiation.agree(extensions, parse(answer), response)
  return Result.isFailure(result) ? `${result.failure.reason}: ${result.failure.message}` : "agreed"
}

describe("Negotiation", () => {
  it("offers every extension's offers, in order; nothing where there are none", () => {
    assert.strictEqual(Result.getOrThrow(Negotiation.offer([only("a", "x"), RunLength.extension(), only("a", "y")])),
      "a; x, x-run-length; v=2, x-run-length; v=1, a; y")
    assert.isUndefined(Result.getOrThrow(Negotiation.offer([])))
    assert.isUndefined(Result.getOrThrow(Negotiation.offer([{ ...only("a", "x"), offers: [] }])))
  })

  it("an offer that cannot be written fails", () => {
    for (const name of ["", "a b", "a\r\nX: y", "é"]) assert.isTrue(Result.isFailure(Negotiation.offer([only(name, "x")])))
    assert.isTrue(Result.isFailure(Negotiation.offer([only("a", "x\r\n")])))
  })

  it("a server tries the offers in the client's order, each with every extension of its name", () => {
    const extensions = [only("a", "x"), only("b", "x"), only("a", "y")]
    assert.strictEqual(answered(extensions, "c; x, a; z, b; x, a; x"), "b; x")
    assert.strictEqual(answered(extensions, "a; y, b; x"), "a; y")
    assert.isUndefined(answered(extensions, "a; z, A; x"))
    assert.isUndefined(answered([], "a; x"))
    assert.isUndefined(answered(extensions, "constructor, __proto__, toString"))
    assert.isUndefined(Negotiation.answer(extensions, []))
  })

  it("a client takes the answer of one extension, of whichever agrees", () => {
    const opened: Array<string> = []
    const extensions = [only("a", "x", opened), only("a", "y", opened)]
    for (const answer of ["a; y", "a; x"]) {
      Result.getOrThrow(Negotiation.agree(extensions, parse(answer), response))?.()
    }
    assert.deepStrictEqual(opened, ["y", "x"])
    assert.isUndefined(Result.getOrThrow(Negotiation.agree(extensions, [], response)))
  })

  it("and refuses every other one", () => {
    const extensions = [only("a", "x"), only("a", "y"), only("b", "x")]
    assert.match(refused(extensions, "a; z"), /^ExtensionInvalid.*no x/)
    assert.match(refused(extensions, "a"), /^ExtensionInvalid/)
    assert.match(refused(extensions, "c; x"), /^ExtensionUnexpected/)
    assert.match(refused(extensions, "a; x, b; x"), /^ExtensionUnexpected.*more than one/)
    assert.match(refused(extensions, "a; x, a; x"), /^ExtensionUnexpected/)
  })
})
