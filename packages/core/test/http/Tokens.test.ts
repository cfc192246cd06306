import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import {
  equalsIgnoreCase,
  hasControl,
  isFieldValue,
  isToken,
  linesHave,
  listHas,
  splitList,
  trimSpace,
  valuesOf
} from "../../src/http/Tokens.ts"

describe("HttpTokens (RFC 9110 §5.5, §5.6)", () => {
  it("tells the 77 token characters from all others", () => {
    const separators = "()<>@,;:\\\"/[]?={} \t"
    for (let code = 0; code < 0x180; code++) {
      const char = String.fromCharCode(code)
      assert.strictEqual(isToken(char), code > 0x20 && code < 0x7f && !separators.includes(char), `code ${code}`)
    }
    assert.isFalse(isToken(""))
    assert.isTrue(isToken("chat.v2"))
    assert.isFalse(isToken("chat v2"))
  })

  it("refuses CR, LF, NUL and other controls in a value, and what is not Latin-1", () => {
    assert.isTrue(isFieldValue(""))
    assert.isTrue(isFieldValue("a\tb \u00e9"))
    for (const bad of ["\r", "\n", "\0", "\x1f", "\x7f", "\u0100", "\ud800"]) {
      assert.isFalse(isFieldValue(`a${bad}b`), JSON.stringify(bad))
    }
  })

  it("ignores the case of ASCII letters only", () => {
    assert.isTrue(equalsIgnoreCase("WebSocket", "websocket"))
    assert.isFalse(equalsIgnoreCase("webSoc\u212aet", "websocket")) // the Kelvin sign's lower case is k
    assert.isFalse(equalsIgnoreCase("web\u017focket", "websocket")) // the long s's upper case is S
    assert.isFalse(equalsIgnoreCase("websocket ", "websocket"))
    assert.isFalse(equalsIgnoreCase("[", "{"))
  })

  it("strips spaces and tabs, nothing else", () => {
    assert.strictEqual(trimSpace(" \ta b\t "), "a b")
    assert.strictEqual(trimSpace("\u00a0a\n"), "\u00a0a\n")
    assert.strictEqual(trimSpace("  "), "")
  })

  it("takes several lines as one list and skips empty elements", () => {
    const headers = [["Connection", "keep-alive"], ["x", "y"], ["connection", ", Upgrade ,"]] as const
    const elements = splitList(valuesOf(headers, "connection"))
    assert.deepStrictEqual(elements, ["keep-alive", "Upgrade"])
    assert.isTrue(listHas(elements ?? [], "upgrade"))
    assert.isFalse(listHas(["upgrade-insecure", "not upgrade"], "upgrade"))
  })

  it("finds a control wherever it stands", () => {
    for (const control of ["\0", "\t", "\n", "\r", "\x1f", "\x7f"]) {
      for (const text of [`${control}ab`, `a${control}b`, `ab${control}`, control]) assert.isTrue(hasControl(text))
    }
    for (const text of ["", " ", "a b", "~", "\x80"]) assert.isFalse(hasControl(text))
  })

  it("finds a token in one line or several, alone or among others", () => {
    for (const lines of [["Upgrade"], ["keep-alive, Upgrade"], ["keep-alive", "upgrade"], [", UPGRADE\t,"]]) {
      assert.isTrue(linesHave(lines, "upgrade"), lines.join(" | "))
    }
    for (const lines of [[], [""], ["keep-alive"], ["upgrade-insecure, not upgrade"], ["up", "grade"]]) {
      assert.isFalse(linesHave(lines, "upgrade"), lines.join(" | "))
    }
    for (const lines of [[`upgrade, ${"x".repeat(8192)}`], ["upgrade", "x".repeat(8192)]]) {
      assert.isUndefined(linesHave(lines, "upgrade"), "too long to tell")
    }
  })

  it("caps the elements and the length of a list", () => {
    assert.lengthOf(splitList(["a,".repeat(64)]) ?? [], 64)
    assert.isUndefined(splitList(["a,".repeat(65)]))
    assert.isDefined(splitList(["x".repeat(8192)]))
    assert.isUndefined(splitList(["x".repeat(4096), "x".repeat(4097)]))
    assert.isUndefined(splitList(Array.from({ length: 65 }, () => "")))
  })

  it.prop("never makes an element that a list cannot have", [Schema.Array(Schema.String)], ([values]) => {
    for (const element of splitList(values) ?? []) {
      assert.isFalse(element.includes(","))
      assert.strictEqual(element, trimSpace(element))
      assert.notStrictEqual(element, "")
    }
  })
})
