import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { InvalidMessage, invalidMessage, pathOf } from "../../src/contract/InvalidMessage.ts"

const issueOf = (schema: Schema.ConstraintDecoder<unknown>, input: unknown): SchemaIssue.Issue =>
  Effect.runSync(Effect.flip(SchemaParser.decodeUnknownEffect(schema)(input)))

describe("pathOf", () => {
  it("names where the first issue lies", () => {
    const Nested = Schema.Struct({ list: Schema.Array(Schema.Struct({ name: Schema.String.check(Schema.isNonEmpty()) })) })
    assert.strictEqual(pathOf(issueOf(Nested, 1)), "")
    assert.strictEqual(pathOf(issueOf(Nested, {})), "list")
    assert.strictEqual(pathOf(issueOf(Nested, { list: [{ name: "a" }, { name: "" }] })), "list[1].name")
    const Either = Schema.Union([Schema.TaggedStruct("A", { a: Schema.Finite }), Schema.TaggedStruct("B", { b: Schema.Finite })])
    assert.strictEqual(pathOf(issueOf(Either, { _tag: "B", b: "x" })), "b")
    assert.strictEqual(pathOf(issueOf(Schema.Struct({ at: Schema.FiniteFromString }), { at: "x" })), "at")
  })

  it("repeats no more of a key than letters, digits, _ and -", () => {
    const AnyKey = Schema.Record(Schema.String, Schema.Finite)
    const plain = "0123456789_-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert.strictEqual(pathOf(issueOf(AnyKey, { [plain]: "x" })), plain)
    for (const other of ["/", ":", "@", "[", "`", "{", " ", "\n", "é"]) {
      assert.strictEqual(pathOf(issueOf(AnyKey, { [`a${other}b`]: "x" })), "a?b")
    }
  })

  it("ends somewhere, however deep the value is", () => {
    interface Tree {
      readonly of?: Tree
    }
    const Tree = Schema.Struct({ of: Schema.optionalKey(Schema.suspend((): Schema.Codec<Tree> => Tree)) })
    let deep: unknown = 1
    for (let i = 0; i < 200; i++) deep = { of: deep }
    assert.isBelow(pathOf(issueOf(Tree, deep)).length, 300)
  })
})

describe("InvalidMessage", () => {
  it("the reason fits into a Close to the byte", () => {
    for (const length of [98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 300]) {
      const error = new InvalidMessage({ subprotocol: "a+json", code: 1008, path: "p".repeat(length) })
      const whole = `invalid value at ${"p".repeat(length)}`
      assert.strictEqual(error.reason, whole.length <= 123 ? whole : `${whole.slice(0, 120)}...`)
      assert.isAtMost(error.reason.length, 123)
    }
  })

  it("tells people the first line of what the Schema reports", () => {
    const Short = Schema.Struct({ text: Schema.String.check(Schema.isMaxLength(3, { message: "at most 3 letters" })) })
    const error = invalidMessage("a+json", issueOf(Short, { text: "long" }))
    assert.deepInclude(error, { code: 1008, path: "text", reason: "invalid value at text", detail: "at most 3 letters" })
    const syntax = invalidMessage("a+json", "syntax")
    assert.deepInclude(syntax, { code: 1007, path: "", detail: syntax.reason })
    assert.strictEqual(syntax.message, `${syntax.reason} (a+json)`)
  })
})
