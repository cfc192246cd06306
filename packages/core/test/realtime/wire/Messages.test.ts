import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Messages from "../../../src/realtime/wire/Messages.ts"

const toServer = Schema.decodeUnknownResult(Schema.fromJsonString(Messages.ToServer))
const toClient = Schema.toCodecJson(Messages.ToClient)

describe("the messages of topics", () => {
  it.prop("to a server come back from JSON as they were", [Messages.ToServer], ([message]) => {
    const text = JSON.stringify(Schema.encodeUnknownSync(Schema.toCodecJson(Messages.ToServer))(message))
    assert.deepStrictEqual(JSON.parse(JSON.stringify(Result.getOrThrow(toServer(text)))), JSON.parse(text))
  })

  it.prop("to a client come back from JSON as they were", [Messages.ToClient], ([message]) => {
    const json = JSON.parse(JSON.stringify(Schema.encodeUnknownSync(toClient)(message)))
    assert.deepStrictEqual(JSON.parse(JSON.stringify(Schema.decodeUnknownSync(toClient)(json))), json)
  })

  it.each([
    ["no type", { id: 1, topic: "a" }],
    ["an unknown type", { type: "shout", id: 1, topic: "a" }],
    ["no id", { type: "subscribe", topic: "a" }],
    ["a broken id", { type: "subscribe", id: 1.5, topic: "a" }],
    ["a negative id", { type: "subscribe", id: -1, topic: "a" }],
    ["an id above 32 bits", { type: "subscribe", id: 2 ** 32, topic: "a" }],
    ["an empty topic", { type: "subscribe", id: 1, topic: "" }],
    ["a long topic", { type: "subscribe", id: 1, topic: "a".repeat(257) }],
    ["a negative offset", { type: "subscribe", id: 1, topic: "a", since: { epoch: "e", offset: -1 } }],
    ["a broken offset", { type: "subscribe", id: 1, topic: "a", since: { epoch: "e", offset: 0.5 } }],
    ["a long epoch", { type: "subscribe", id: 1, topic: "a", since: { epoch: "e".repeat(65), offset: 0 } }],
    ["a since of another word", { type: "subscribe", id: 1, topic: "a", since: "end" }],
    ["no key", { type: "publish", id: 1, topic: "a", value: 1 }],
    ["a long key", { type: "publish", id: 1, topic: "a", key: "k".repeat(129), value: 1 }],
    ["no value", { type: "publish", id: 1, topic: "a", key: "k" }],
    ["a long token", { type: "authenticate", id: 1, token: "t".repeat(16_385) }]
  ])("to a server are refused with %s", (_, message) => {
    assert.isTrue(Result.isFailure(toServer(JSON.stringify(message))))
  })
})

describe("docs/topics-protocol.md", () => {
  const document = readFileSync(new URL("../../../../../docs/topics-protocol.md", import.meta.url), "utf8")

  it("shows messages as they are", () => {
    const shown = Array.from(document.matchAll(/^```json\n([\s\S]*?)^```$/gm), ([, text]) => JSON.parse(text) as unknown)
    assert.isAtLeast(shown.length, 4)
    for (const message of shown) {
      assert.deepStrictEqual(Schema.encodeUnknownSync(toClient)(Schema.decodeUnknownSync(toClient)(message)), message)
    }
  })

  it.each([["## Requests", Messages.ToServer], ["## What a server sends", Messages.ToClient]] as const)(
    "lists all messages of %s with their fields",
    (heading, union) => {
      const table = document.slice(document.indexOf(heading)).split("\n\n")[1]
      const names = (cell: string) => Array.from(cell.matchAll(/`(\w+)`/g), ([, name]) => name).sort()
      const listed = table.split("\n").slice(2).map((row) => row.split(" | ")).map(([type, fields]) => [names(type)[0], names(fields)])
      const own = union.members.map(({ fields }) => [
        fields.type.ast._tag === "Literal" ? fields.type.ast.literal : "",
        Object.keys(fields).filter((name) => name !== "type" && (name !== "id" || union === Messages.ToClient)).sort()
      ])
      assert.sameDeepMembers(listed, own)
    }
  )
})
