import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Extension from "../src/Extension.ts"

const reasonOf = (...lines: Array<string>): string => {
  const parsed = Extension.parse(lines)
  return Result.isFailure(parsed) ? parsed.failure.reason : "parsed"
}

describe("Extension (RFC 6455 §9.1)", () => {
  it("parses names, parameters, quoted values and several lines", () => {
    const parsed = Result.getOrThrow(Extension.parse([
      "permessage-deflate; client_max_window_bits ; server_max_window_bits=\"10\",, x ;a = b",
      "\ty;a=\"\\b\\c\";a"
    ]))
    assert.deepStrictEqual(parsed, [
      {
        name: "permessage-deflate",
        params: [{ name: "client_max_window_bits" }, { name: "server_max_window_bits", value: "10", quoted: true }]
      },
      { name: "x", params: [{ name: "a", value: "b" }] },
      { name: "y", params: [{ name: "a", value: "bc", quoted: true }, { name: "a" }] }
    ])
  })

  it("has no extensions where there is no line", () => {
    assert.deepStrictEqual(Result.getOrThrow(Extension.parse([])), [])
  })

  it("fails on what is malformed", () => {
    const malformed = [
      "",
      " ,\t, ",
      ";",
      "a;",
      "a; ;b",
      "a;=b",
      "a;b=",
      "a;b=,c",
      "a b",
      "a;b c",
      "a;b=c d",
      "a;b=c=d",
      "a=b",
      "\"a\"",
      "a;\"b\"",
      "a;b=\"",
      "a;b=\"\"",
      "a;b=\"c",
      "a;b=\"c\\",
      "a;b=\"c\\\"",
      "a;b=\"c d\"", // not a token once it is unquoted
      "a;b=\"c,d\"",
      "a;b=\"c\"d",
      "a;b=(c)",
      "a/b",
      "a\r\nb",
      "a\0",
      "é"
    ]
    for (const line of malformed) assert.strictEqual(reasonOf(line), "ExtensionsMalformed", JSON.stringify(line))
    assert.strictEqual(reasonOf("a", "b;"), "ExtensionsMalformed")
  })

  it("keeps names that are special to objects as plain data", () => {
    const parsed = Result.getOrThrow(Extension.parse(["__proto__; constructor=toString; __proto__"]))
    assert.deepStrictEqual(parsed.map(({ name }) => name), ["__proto__"])
    assert.deepStrictEqual(parsed[0]?.params.map(({ name }) => name), ["constructor", "__proto__"])
  })

  it("caps length, extensions and parameters", () => {
    assert.strictEqual(reasonOf("a,".repeat(64)), "parsed")
    assert.strictEqual(reasonOf("a,".repeat(65)), "HeaderTooLarge")
    assert.strictEqual(reasonOf(`a${";b".repeat(64)}`), "parsed")
    assert.strictEqual(reasonOf(`a${";b".repeat(32)}`, `a${";b".repeat(33)}`), "HeaderTooLarge")
    assert.strictEqual(reasonOf("a".repeat(8192)), "parsed")
    assert.strictEqual(reasonOf("a".repeat(8193)), "HeaderTooLarge")
  })

  it("refuses to write what is not a token", () => {
    assert.isTrue(Result.isFailure(Extension.format([{ name: "a b", params: [] }])))
    assert.isTrue(Result.isFailure(Extension.format([{ name: "a", params: [{ name: "" }] }])))
    assert.isTrue(Result.isFailure(Extension.format([{ name: "a", params: [{ name: "b", value: "\r\n" }] }])))
    assert.strictEqual(Result.getOrThrow(Extension.format([])), "")
  })

  const token = Schema.Literals(["a", "x-webkit", "10", "!#$%&'*+-.^_`|~", "__proto__"])
  const param = Schema.Union([
    Schema.Struct({ name: token }),
    Schema.Struct({ name: token, value: token }),
    Schema.Struct({ name: token, value: token, quoted: Schema.Literal(true) })
  ])
  const extension = Schema.Struct({ name: token, params: Schema.Array(param).check(Schema.isMaxLength(6)) })

  it.prop(
    "reads back what it wrote",
    [Schema.Array(extension).check(Schema.isMinLength(1), Schema.isMaxLength(10))],
    ([list]) => {
      const written = Result.getOrThrow(Extension.format(list))
      assert.deepStrictEqual(Result.getOrThrow(Extension.parse([written])), list)
    }
  )

  const piece = Schema.Literals(["a", "=", ";", ",", "\"", "\\", " ", "\t", "\0", "é"])
  it.prop("is total, and writes again whatever it parsed", [Schema.Array(piece)], ([pieces]) => {
    const parsed = Extension.parse([pieces.join("")])
    if (Result.isFailure(parsed)) return assert.isString(parsed.failure.detail)
    const again = Extension.parse([Result.getOrThrow(Extension.format(parsed.success))])
    assert.deepStrictEqual(Result.getOrThrow(again), parsed.success)
  })
})
