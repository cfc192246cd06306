import { assert, describe, it } from "@effect/vitest"
import { parseBody, parseMessage } from "../../../src/realtime/redis/Messages.ts"

describe("parseMessage", () => {
  it("reads what the scripts write", () => {
    assert.deepStrictEqual(parseMessage("{\"e\":\"1.a\",\"s\":7,\"k\":\"2.n\",\"b\":\"1.m\",\"p\":[[3,\"t\",\"k\",\"{}\"]],\"m\":[\"t\"],\"g\":[[\"t\",\"f\",\"1\"]]}"), {
      epoch: "1.a",
      seq: 7,
      mark: "2.n",
      before: "1.m",
      published: [[3, "t", "k", "{}"]],
      changed: ["t"],
      signals: [["t", "f", "1"]]
    })
    assert.deepStrictEqual(parseMessage("{\"e\":\"1.a\",\"g\":[[\"t\",\"f\",\"1\"]]}"), {
      epoch: "1.a",
      seq: undefined,
      mark: "",
      before: undefined,
      published: [],
      changed: [],
      signals: [["t", "f", "1"]]
    })
  })

  it("refuses everything else", () => {
    const others = [
      "", "x", "null", "1", "[]", "{}", "{\"e\":1}", "{\"e\":\"1.a\",\"s\":-1}", "{\"e\":\"1.a\",\"s\":1.5}", "{\"e\":\"1.a\",\"s\":\"1\"}",
      "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"p\":{}}", "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"p\":[[1,\"t\",\"k\"]]}", "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"p\":[[1,\"t\",\"k\",1]]}",
      "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"p\":[[-1,\"t\",\"k\",\"1\"]]}", "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"p\":[[1,\"t\",2,\"1\"]]}",
      "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"p\":[[1,1,\"k\",\"1\"]]}", "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"m\":[1]}", "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"g\":[[\"t\",\"f\"]]}",
      "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"g\":[[\"t\",\"f\",1]]}", "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"g\":[1]}", "{\"e\":\"1.a\",\"s\":null}",
      "{\"e\":\"1.a\",\"s\":1}", "{\"e\":\"1.a\",\"s\":1,\"k\":2}", "{\"e\":\"1.a\",\"s\":1,\"k\":\"2.n\",\"b\":1}",
      // Numbered messages alone are noticed when they are lost.
      "{\"e\":\"1.a\",\"p\":[[1,\"t\",\"k\",\"1\"]]}", "{\"e\":\"1.a\",\"m\":[\"t\"]}"
    ]
    for (const text of others) assert.isUndefined(parseMessage(text), text)
  })
})

describe("parseBody", () => {
  it("reads key and payload", () => {
    assert.deepStrictEqual(parseBody(3, "\"k\",\"{\\\"a\\\":1}\""), { offset: 3, key: "k", payload: "{\"a\":1}" })
    for (const body of ["", "x", "\"k\"", "\"k\",1", "1,\"p\"", "\"k\",\"p\",\"q\""]) assert.isUndefined(parseBody(3, body), body)
  })
})
