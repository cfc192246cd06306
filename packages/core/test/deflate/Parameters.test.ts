import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Extension from "../../src/Extension.ts"
import {
  type Agreement,
  agreeAnswer,
  answerOffer,
  makeOffer,
  parseParams,
  type Wishes
} from "../../src/deflate/Parameters.ts"

const paramsOf = (text: string) =>
  Result.getOrThrow(Extension.parse([`permessage-deflate${text === "" ? "" : `; ${text}`}`]))[0]!.params

const write = (params: ReadonlyArray<Extension.ExtensionParam>): string =>
  params.map(({ name, value }) => value === undefined ? name : `${name}=${value}`).join("; ")

const wishes = (given: Partial<Wishes> = {}): Wishes => ({
  ownBits: 15,
  peerBits: 15,
  ownNoTakeover: false,
  peerNoTakeover: false,
  ...given
})

// An agreement in one line: windows of both sides, `!` behind one that forgets.
const show = (agreement: Agreement): string =>
  `${agreement.ownBits}${agreement.ownTakeover ? "" : "!"} ${agreement.peerBits}${agreement.peerTakeover ? "" : "!"}`

const answer = (offer: string, given?: Partial<Wishes>): string =>
  Result.match(answerOffer(paramsOf(offer), wishes(given)), {
    onFailure: () => "declined",
    onSuccess: ({ agreement, params }) => `${write(params)} -> ${show(agreement)}`
  })

const agree = (text: string, given?: Partial<Wishes>): string =>
  Result.match(agreeAnswer(paramsOf(text), wishes(given)), { onFailure: (why) => why, onSuccess: show })

const invalid = [
  "unknown",
  "Server_no_context_takeover",
  "__proto__",
  "server_no_context_takeover; server_no_context_takeover",
  "client_no_context_takeover; client_no_context_takeover",
  "server_max_window_bits=10; server_max_window_bits=10",
  "client_max_window_bits=10; client_max_window_bits=10",
  "server_no_context_takeover=true",
  "client_no_context_takeover=10",
  "server_max_window_bits",
  ...["7", "16", "0", "08", "010", "1", "-8", "+9", "1e1", "10.0", "0xa", "abc", "99999999999999999999", "*"].flatMap(
    (value) => [`server_max_window_bits=${value}`, `client_max_window_bits=${value}`]
  )
]

describe("DeflateParams (RFC 7692 §7.1)", () => {
  it("declines and refuses what is unknown, duplicate or badly valued", () => {
    for (const text of invalid) {
      assert.strictEqual(answer(text), "declined", text)
      assert.isTrue(Result.isFailure(agreeAnswer(paramsOf(text), wishes())), text)
    }
  })

  it("takes a quoted value like the token", () => {
    assert.strictEqual(answer("server_max_window_bits=\"10\""), "server_max_window_bits=10 -> 10 15")
    assert.strictEqual(answer("server_max_window_bits=\"\\1\\0\""), "server_max_window_bits=10 -> 10 15")
    assert.strictEqual(answer("server_max_window_bits=\"010\""), "declined")
  })

  it("says what is wrong", () => {
    const why = (text: string) => Result.getOrThrow(Result.flip(parseParams(paramsOf(text), "answer")))
    assert.strictEqual(why("x"), "unknown parameter \"x\"")
    assert.strictEqual(why("client_max_window_bits"), "client_max_window_bits has no value")
    assert.strictEqual(why("server_max_window_bits=7"), "server_max_window_bits has the value \"7\"")
    assert.strictEqual(
      why("client_no_context_takeover; client_no_context_takeover"),
      "client_no_context_takeover is there twice"
    )
  })

  describe("the server's answer", () => {
    const table: ReadonlyArray<readonly [offer: string, wishes: Partial<Wishes>, answer: string]> = [
      ["", {}, " -> 15 15"],
      ["server_no_context_takeover", {}, "server_no_context_takeover -> 15! 15"],
      ["", { ownNoTakeover: true }, "server_no_context_takeover -> 15! 15"],
      ["client_no_context_takeover", {}, "client_no_context_takeover -> 15 15!"],
      ["", { peerNoTakeover: true }, "client_no_context_takeover -> 15 15!"],
      // §7.1.2.1: at most what was offered, and answered wherever it was offered
      ["server_max_window_bits=15", {}, "server_max_window_bits=15 -> 15 15"],
      ["server_max_window_bits=12", {}, "server_max_window_bits=12 -> 12 15"],
      ["server_max_window_bits=12", { ownBits: 10 }, "server_max_window_bits=10 -> 10 15"],
      ["server_max_window_bits=10", { ownBits: 12 }, "server_max_window_bits=10 -> 10 15"],
      ["server_max_window_bits=9", {}, "server_max_window_bits=9 -> 9 15"],
      ["", { ownBits: 12 }, "server_max_window_bits=12 -> 12 15"],
      // zlib cannot make it
      ["server_max_window_bits=8", {}, "declined"],
      ["server_max_window_bits=8", { ownBits: 9 }, "declined"],
      // §7.1.2.2: answered only if offered
      ["client_max_window_bits", {}, " -> 15 15"],
      ["client_max_window_bits", { peerBits: 10 }, "client_max_window_bits=10 -> 15 10"],
      ["client_max_window_bits=12", {}, "client_max_window_bits=12 -> 15 12"],
      ["client_max_window_bits=12", { peerBits: 10 }, "client_max_window_bits=10 -> 15 10"],
      ["client_max_window_bits=10", { peerBits: 12 }, "client_max_window_bits=10 -> 15 10"],
      ["client_max_window_bits=8", {}, "client_max_window_bits=8 -> 15 8"],
      ["", { peerBits: 10 }, "declined"],
      ["server_max_window_bits=10; client_max_window_bits; client_no_context_takeover; server_no_context_takeover", {
        peerBits: 11
      }, "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; " +
        "client_max_window_bits=11 -> 10! 11!"]
    ]
    for (const [offer, given, expected] of table) {
      it(`${JSON.stringify(offer)} ${JSON.stringify(given)}: ${expected}`, () => {
        assert.strictEqual(answer(offer, given), expected)
      })
    }
  })

  it("makes the client's offer", () => {
    assert.strictEqual(write(makeOffer(wishes())), "client_max_window_bits")
    assert.strictEqual(
      write(makeOffer({ ownBits: 10, peerBits: 11, ownNoTakeover: true, peerNoTakeover: true })),
      "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; client_max_window_bits=10"
    )
  })

  describe("the client's judgement of an answer", () => {
    const table: ReadonlyArray<readonly [answer: string, wishes: Partial<Wishes>, judgement: string]> = [
      ["", {}, "15 15"],
      ["server_no_context_takeover", {}, "15 15!"],
      ["client_no_context_takeover", {}, "15! 15"],
      ["", { ownNoTakeover: true }, "15! 15"],
      ["", { peerNoTakeover: true }, "server_no_context_takeover was not accepted"],
      ["server_no_context_takeover", { peerNoTakeover: true }, "15 15!"],
      ["server_max_window_bits=8", {}, "15 8"],
      ["server_max_window_bits=12", { peerBits: 12 }, "15 12"],
      ["server_max_window_bits=10", { peerBits: 12 }, "15 10"],
      ["server_max_window_bits=13", { peerBits: 12 }, "server_max_window_bits is larger than offered"],
      ["", { peerBits: 12 }, "server_max_window_bits was not accepted"],
      ["client_max_window_bits=10", {}, "10 15"],
      ["client_max_window_bits=8", {}, "8 15"],
      ["client_max_window_bits=12", { ownBits: 10 }, "10 15"],
      ["client_max_window_bits=10", { ownBits: 12 }, "10 15"],
      ["", { ownBits: 12 }, "12 15"],
      // without a value it is for offers only
      ["client_max_window_bits", {}, "client_max_window_bits has no value"]
    ]
    for (const [text, given, expected] of table) {
      it(`${JSON.stringify(text)} ${JSON.stringify(given)}: ${expected}`, () => {
        assert.strictEqual(agree(text, given), expected)
      })
    }
  })

  const bits = Schema.Literals([9, 10, 11, 12, 13, 14, 15])
  const anyWishes = Schema.Struct({
    ownBits: bits,
    peerBits: bits,
    ownNoTakeover: Schema.Boolean,
    peerNoTakeover: Schema.Boolean
  })
  const anyParam = Schema.Struct({
    name: Schema.Literals([
      "server_no_context_takeover",
      "client_no_context_takeover",
      "server_max_window_bits",
      "client_max_window_bits",
      "x"
    ]),
    value: Schema.optionalKey(Schema.Literals(["8", "9", "12", "15", "16", "", "01", "é"]))
  })

  const both = { client: anyWishes, server: anyWishes }

  it.prop("two sides that agree see the same, within the wishes of both", both, ({ client, server }) => {
    const answered = answerOffer(makeOffer(client), server)
    if (Result.isFailure(answered)) return assert.fail(answered.failure)
    const { agreement, params } = answered.success
    const judged = Result.getOrThrow(agreeAnswer(params, client))
    assert.deepStrictEqual(judged, {
      ownBits: agreement.peerBits,
      peerBits: agreement.ownBits,
      ownTakeover: agreement.peerTakeover,
      peerTakeover: agreement.ownTakeover
    })
    assert.isAtMost(judged.ownBits, Math.min(client.ownBits, server.peerBits))
    assert.isAtMost(judged.peerBits, Math.min(client.peerBits, server.ownBits))
    assert.isFalse(judged.ownTakeover && (client.ownNoTakeover || server.peerNoTakeover))
    assert.isFalse(judged.peerTakeover && (client.peerNoTakeover || server.ownNoTakeover))
  })

  it.prop("is total; what is answered obeys the offer", [Schema.Array(anyParam), anyWishes], ([params, given]) => {
    const judged = agreeAnswer(params, given)
    if (Result.isSuccess(judged)) assert.isAtMost(judged.success.peerBits, given.peerBits)
    const answered = answerOffer(params, given)
    if (Result.isFailure(answered)) return
    const asked = Result.getOrThrow(parseParams(params, "offer"))
    const said = Result.getOrThrow(parseParams(answered.success.params, "answer"))
    assert.isTrue(said.serverNoTakeover || !asked.serverNoTakeover)
    if (asked.serverBits !== undefined) assert.isAtMost(said.serverBits!, asked.serverBits)
    if (asked.clientBits === undefined) assert.isUndefined(said.clientBits)
    assert.isAtLeast(answered.success.agreement.ownBits, 9)
  })
})
