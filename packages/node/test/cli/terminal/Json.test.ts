import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isJson, pretty } from "../../../src/cli/terminal/Json.ts"
import { plain } from "../../../src/cli/terminal/Style.ts"

const marked = { ...plain, blue: (text: string) => `<${text}>`, green: (text: string) => `(${text})` }

describe("Json", () => {
  it("takes objects and arrays for JSON, and nothing else", () => {
    const texts = ["{}", " [1]", "\n{\"a\":1}", "1", "\"a\"", "hello", "{a:1}", "[1", ""]
    assert.deepStrictEqual(texts.map(isJson), [true, true, true, false, false, false, false, false, false])
  })

  it("puts what fits on one line, and the rest on lines of its own", () => {
    const text = "{\"a\":1,\"b\":[1,2,{}],\"c\":{\"d\":null,\"long\":\"0123456789\"},\"e\":[]}"
    assert.strictEqual(
      pretty(text, plain, 30),
      [
        "{",
        "  \"a\": 1,",
        "  \"b\": [1, 2, {}],",
        "  \"c\": {",
        "    \"d\": null,",
        "    \"long\": \"0123456789\"",
        "  },",
        "  \"e\": []",
        "}"
      ].join("\n")
    )
    assert.strictEqual(pretty("{\"a\":{\"b\":[1]}}", plain, 80), "{ \"a\": { \"b\": [1] } }")
  })

  it("keeps numbers and names as they were sent", () => {
    const text = "{\"a\":12345678901234567890,\"a\":1.0e400,\"\\u0061\\\"\":-0}"
    assert.strictEqual(
      pretty(text, plain, 200),
      "{ \"a\": 12345678901234567890, \"a\": 1.0e400, \"\\u0061\\\"\": -0 }"
    )
  })

  it("colours names and strings apart", () => {
    assert.strictEqual(pretty("{\"a\":\"b\"}", marked, 80), "{ <\"a\">: (\"b\") }")
  })

  it.effect("is the same JSON again, at any width", () =>
    Effect.gen(function*() {
      const values = yield* Arbitrary.sampleEffect(Arbitrary.schema(Schema.Json), { count: 300 })
      for (const value of values) {
        const text = JSON.stringify([value])
        for (const columns of [0, 20, 1000]) {
          assert.deepStrictEqual(JSON.parse(pretty(text, plain, columns)), JSON.parse(text))
        }
      }
    }))
})
