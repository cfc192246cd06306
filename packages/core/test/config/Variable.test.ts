import { assert, describe, it } from "@effect/vitest"
import type * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Variable from "../../src/config/Variable.ts"

const read = <A>(config: Config.Config<A>, value?: string) =>
  config.parse(ConfigProvider.fromEnv({ env: value === undefined ? {} : { NAME: value } }))

/** What a variable makes of texts: a value, or `"refused"` where the error names the variable and says what was expected. */
const reads = (config: Config.Config<unknown>, expected: string, cases: ReadonlyArray<readonly [text: string, value: unknown]>) => {
  for (const [text, value] of cases) {
    it.effect(`"${text}"`, () =>
      Effect.gen(function*() {
        if (value !== "refused") return assert.deepStrictEqual(yield* read(config, text), value)
        const { message } = yield* Effect.flip(read(config, text))
        assert.include(message, `["NAME"]`)
        assert.include(message, expected)
      }))
  }
  it.effect("not set", () => Effect.map(read(config), (value) => assert.isUndefined(value)))
}

describe("size", () => {
  reads(Variable.size("NAME"), "a number of bytes from 1 on", [
    ["65536", 65_536],
    [" 64 KiB ", 65_536],
    ["1.5 MB", 1_500_000],
    ["0", "refused"],
    ["-1", "refused"],
    ["1.5 B", "refused"],
    ["1e3", "refused"],
    ["9007199254740993", "refused"]
  ])
})

describe("integer", () => {
  reads(Variable.integer("NAME", 2, 9), "an integer from 2 to 9", [
    ["2", 2],
    ["9", 9],
    ["1", "refused"],
    ["10", "refused"],
    ["+2", "refused"],
    ["2.5", "refused"]
  ])
})

describe("integer without an end", () => {
  reads(Variable.integer("NAME", 0), "an integer from 0 on", [
    ["0", 0],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
    ["9007199254740992", "refused"]
  ])
})

describe("duration", () => {
  reads(Variable.duration("NAME"), "a duration above 0", [
    ["500 millis", Duration.millis(500)],
    [" 10 seconds ", Duration.seconds(10)],
    ["Infinity", Duration.infinity],
    ["0 seconds", "refused"],
    ["5000", "refused"],
    ["soon", "refused"]
  ])
})

describe("boolean", () => {
  reads(Variable.boolean("NAME"), "true or false", [
    ["true", true],
    ["Yes", true],
    ["1", true],
    ["false", false],
    ["OFF", false],
    ["0", false],
    ["maybe", "refused"]
  ])
})

describe("oneOf", () => {
  reads(Variable.oneOf("NAME", ["one", "two"]), "one of one, two", [
    [" one ", "one"],
    ["One", "refused"]
  ])
})

describe("list", () => {
  reads(Variable.list("NAME"), "a list separated by commas", [
    ["a", ["a"]],
    ["a, b ,c", ["a", "b", "c"]],
    ["a,,b", "refused"]
  ])
})
