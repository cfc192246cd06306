import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Contract from "../src/Contract.ts"
import { sideOf } from "../src/contract/Definition.ts"
import { Values } from "../src/contract/Values.ts"
import { isToken } from "../src/http/Tokens.ts"
import * as ReconnectingClient from "../src/ReconnectingClient.ts"
import * as TestServer from "../src/testing/TestServer.ts"
import * as TestWebSocket from "../src/testing/TestWebSocket.ts"
import * as WebSocketClient from "../src/WebSocketClient.ts"
import { eventually, links } from "./support/Scripted.ts"

const Ask = Schema.Struct({ n: Schema.Finite, at: Schema.DateTimeUtcFromMillis, big: Schema.optionalKey(Schema.BigInt) })
const Answer = Schema.TaggedUnion({
  Twice: { n: Schema.Finite },
  Sorry: { why: Schema.String.check(Schema.isMaxLength(20)) }
})

const both = { toServer: Ask, toClient: Answer, codecs: [Contract.json, Contract.binary] }
const Doubler = Contract.make("doubler.v2", both)
const at = DateTime.makeUnsafe(0)

const url = "ws://a.example/"

const app = <E>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest>) =>
  HttpRouter.serve(HttpRouter.add("GET", "/", handler), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(TestServer.layer())
  )

const twice = Contract.handle(Doubler, (connection) =>
  connection.messages.pipe(
    Stream.map(({ n }) => Answer.cases.Twice.make({ n: 2 * n })),
    Stream.run(connection.sink)
  ))

/** Both sides over a link in memory. */
const pair = (subprotocol = "doubler.v2+json", options: { client?: Contract.ValueOptions; server?: Contract.ValueOptions } = {}) =>
  Effect.gen(function*() {
    const { client, server } = yield* TestWebSocket.pair({ subprotocol })
    return {
      raw: { client, server },
      client: yield* Contract.client(Doubler, client, options.client),
      server: yield* Contract.server(Doubler, server, options.server)
    }
  })

const good = (n: number) => JSON.stringify({ n, at: 0 })

describe("Contract.make", () => {
  it("names a subprotocol for each codec", () => {
    assert.deepStrictEqual(Doubler.subprotocols, ["doubler.v2+json", "doubler.v2+binary"])
    assert.deepStrictEqual(Contract.make("x", { toServer: Ask, toClient: Answer }).subprotocols, ["x+json"])
  })

  it("names are tokens", () => {
    for (const name of ["", "a b", "a/b", "a,b", "ä", "a\r\nb", "a\n"]) {
      assert.throws(() => Contract.make(name, { toServer: Ask, toClient: Answer }), /is a token/)
      assert.throws(() => Contract.codec(name, (schema) => Schema.fromJsonString(schema)), /is a token/)
    }
    for (let code = 0; code < 256; code++) {
      const name = String.fromCharCode(code)
      const make = () => Contract.make(name, { toServer: Ask, toClient: Answer })
      if (isToken(name)) make()
      else assert.throws(make, /is a token/)
    }
    assert.throws(() => Contract.make("a", { toServer: Ask, toClient: Answer, codecs: [] }), /no codec/)
    const codecs = [Contract.json, Contract.json]
    assert.throws(() => Contract.make("a", { toServer: Ask, toClient: Answer, codecs }), /two codecs/)
  })
})

describe("a connection of values", () => {
  for (const subprotocol of Doubler.subprotocols) {
    it.effect(`carries values both ways, in order: ${subprotocol}`, () =>
      Effect.gen(function*() {
        const { client, raw, server } = yield* pair(subprotocol)
        assert.strictEqual(`${client.name}+${client.codec}`, subprotocol)
        yield* client.send({ n: 1, at, big: 12345678901234567890n })
        assert.deepStrictEqual(yield* server.receive, { n: 1, at, big: 12345678901234567890n })
        yield* client.sendAll([{ n: 2, at }, { n: 3, at }])
        yield* Stream.run(Stream.make({ n: 4, at }, { n: 5, at }), client.sink)
        const read = yield* Stream.runCollect(Stream.take(server.messages, 4))
        assert.deepStrictEqual(read.map(({ n }) => n), [2, 3, 4, 5])
        yield* server.send(Answer.cases.Twice.make({ n: 4 }))
        assert.deepStrictEqual(yield* client.receive, { _tag: "Twice", n: 4 })
        yield* Effect.forkChild(raw.server.close(1000))
        assert.deepStrictEqual(yield* Stream.runCollect(client.messages), [])
        assert.deepInclude(yield* Effect.flip(client.receive), { _tag: "ConnectionClosed" })
      }))
  }

  it.effect("a codec of one's own is a Schema", () =>
    Effect.gen(function*() {
      const marked = Contract.codec("marked", (schema) =>
        Schema.String.pipe(Schema.decodeTo(
          Schema.fromJsonString(Schema.toCodecJson(schema)),
          SchemaTransformation.transform({ decode: (text) => text.slice(1), encode: (text) => `>${text}` })
        )))
      const Marked = Contract.make("m", { toServer: Ask, toClient: Answer, codecs: [marked] })
      const { client, server } = yield* TestWebSocket.pair({ subprotocol: "m+marked" })
      const side = yield* Contract.server(Marked, server)
      yield* side.send({ _tag: "Twice", n: 1 })
      assert.strictEqual(yield* client.receive, `>{"_tag":"Twice","n":1}`)
      yield* client.send(`>${good(7)}`)
      assert.strictEqual((yield* side.receive).n, 7)
    }))

  it.effect("Schemas that need services or time get both", () =>
    Effect.gen(function*() {
      class Factor extends Context.Service<Factor, { readonly of: (n: number) => Effect.Effect<number> }>()("Factor") {}
      const Scaled = Schema.Finite.pipe(Schema.decodeTo(
        Schema.Finite,
        SchemaTransformation.transformEffect({
          decode: (n: number) => Effect.flatMap(Factor, (factor) => factor.of(n)),
          encode: (n: number) => Effect.succeed(n)
        })
      ))
      const C = Contract.make("scaled", { toServer: Scaled, toClient: Scaled })
      const { client, server } = yield* TestWebSocket.pair({ subprotocol: "scaled+json" })
      const side = yield* Effect.provideService(Contract.server(C, server), Factor, {
        of: (n) => Effect.as(n % 2 === 0 ? Effect.yieldNow : Effect.void, n * 10)
      })
      yield* client.sendAll(["1", "2", "3", "x", "4", "5"])
      const results = yield* Stream.runCollect(Stream.take(side.results, 6))
      assert.deepStrictEqual(
        results.map((result) => Result.isSuccess(result) ? result.success : "bad"),
        [10, 20, 30, "bad", 40, 50]
      )
    }))

  it.effect("a value that cannot be encoded is the program's own failure: nothing of it was sent", () =>
    Effect.gen(function*() {
      const { client, server } = yield* pair()
      const long = Answer.cases.Sorry.make({ why: "x".repeat(21) }, { disableChecks: true })
      const ok = Answer.cases.Twice.make({ n: 1 })
      assert.deepInclude(yield* Effect.flip(server.send(long)), { _tag: "SchemaError" })
      assert.deepInclude(yield* Effect.flip(server.sendAll([ok, long, ok])), { _tag: "SchemaError" })
      assert.deepInclude(yield* Effect.flip(server.send(Contract.prepare(Doubler, long))), { _tag: "SchemaError" })
      yield* server.send(Answer.cases.Twice.make({ n: 2 }))
      assert.deepStrictEqual([yield* client.receive, yield* client.receive], [{ _tag: "Twice", n: 1 }, { _tag: "Twice", n: 2 }])
    }))

  it.effect("a prepared value is encoded once for each codec", () =>
    Effect.gen(function*() {
      let encoded = 0
      const Counted = Schema.String.pipe(Schema.decodeTo(
        Schema.String,
        SchemaTransformation.transform({ decode: (text: string) => text, encode: (text: string) => (encoded++, text) })
      ))
      const C = Contract.make("counted", { toServer: Schema.Never, toClient: Counted, codecs: [Contract.json, Contract.binary] })
      const prepared = Contract.prepare(C, "hello")
      for (const subprotocol of ["counted+json", "counted+binary", "counted+json", "counted+binary"]) {
        const { client, server } = yield* TestWebSocket.pair({ subprotocol })
        const side = yield* Contract.server(C, server)
        yield* side.send(prepared)
        yield* side.sendAll([prepared])
        const reader = yield* Contract.client(C, client)
        assert.deepStrictEqual([yield* reader.receive, yield* reader.receive], ["hello", "hello"])
      }
      assert.strictEqual(encoded, 2)
      const Other = Contract.make("other", { toServer: Schema.Never, toClient: Counted })
      const { server } = yield* TestWebSocket.pair({ subprotocol: "other+json" })
      const side = yield* Contract.server(Other, server)
      assert.include(String(yield* Effect.exit(side.send(prepared))), "prepared for counted")
    }))

  it.effect("a connection of another subprotocol is none", () =>
    Effect.gen(function*() {
      const { client } = yield* TestWebSocket.pair({ subprotocol: "doubler.v1+json" })
      const error = yield* Effect.flip(Contract.client(Doubler, client))
      assert.deepInclude(error, { _tag: "ContractMismatch", offered: Doubler.subprotocols, spoken: ["doubler.v1+json"] })
    }))
})

describe("bad messages", () => {
  const cases: ReadonlyArray<readonly [name: string, message: string | Uint8Array, code: 1007 | 1008, reason: string]> = [
    ["no JSON", "{", 1007, "the message is not in the codec of the subprotocol"],
    ["binary instead of text", Uint8Array.of(1, 2), 1007, "the message is not in the codec of the subprotocol"],
    ["another value", "17", 1008, "invalid value"],
    ["a field of another type", `{"n":"secret","at":0}`, 1008, "invalid value at n"],
    ["a field that is missing", `{"n":1}`, 1008, "invalid value at at"]
  ]
  for (const [name, message, code, reason] of cases) {
    it.effect(`${name}: closed with ${code} "${reason}", behind the good ones before it`, () =>
      Effect.gen(function*() {
        const { client: { ws }, server } = yield* pair()
        yield* ws.sendAll([good(1), good(2), message, good(3)])
        const read: Array<number> = []
        const error = yield* Effect.flip(Stream.runForEach(server.messages, ({ n }) => Effect.sync(() => read.push(n))))
        assert.deepStrictEqual(read, [1, 2])
        assert.deepInclude(error, { _tag: "InvalidMessage", code, reason })
        assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "secret")
        assert.deepInclude(yield* ws.closed, { code, reason, initiator: "remote" })
      }))

    it.effect(`${name}: closed by \`receive\` as well`, () =>
      Effect.gen(function*() {
        const { client: { ws }, server } = yield* pair()
        yield* ws.sendAll([good(1), message])
        assert.strictEqual((yield* server.receive).n, 1)
        assert.deepInclude(yield* Effect.flip(server.receive), { _tag: "InvalidMessage", code, reason })
        assert.deepInclude(yield* ws.closed, { code, reason })
      }))

    it.effect(`${name}: skipped and reported, by option`, () =>
      Effect.gen(function*() {
        const reported: Array<Contract.InvalidMessage> = []
        const { client: { ws }, server } = yield* pair("doubler.v2+json", {
          server: { onInvalid: (error) => Effect.sync(() => reported.push(error)) }
        })
        yield* ws.sendAll([message, good(1), message, message, good(2)])
        const read = yield* Stream.runCollect(Stream.take(server.messages, 2))
        assert.deepStrictEqual(read.map(({ n }) => n), [1, 2])
        yield* ws.sendAll([message, good(3)])
        assert.strictEqual((yield* server.receive).n, 3)
        assert.deepStrictEqual(reported.map(({ code, reason }) => [code, reason]), Array.from({ length: 4 }, () => [code, reason]))
      }))

    it.effect(`${name}: handed over where it stands by \`results\``, () =>
      Effect.gen(function*() {
        const { client: { ws }, server } = yield* pair()
        yield* ws.sendAll([message, good(1), message, good(2)])
        const read = yield* Stream.runCollect(Stream.take(server.results, 4))
        assert.deepStrictEqual(
          read.map((result) => Result.isSuccess(result) ? result.success.n : result.failure.reason),
          [reason, 1, reason, 2]
        )
      }))
  }

  it.effect("several that come at once are taken one by one, and what is invalid takes effect after the values before it", () =>
    Effect.gen(function*() {
      const values = new Values<typeof Ask.Type, never>(sideOf(Doubler, "server", "doubler.v2+json")!, Context.empty())
      const batches = Stream.make(good(1), good(2), "x", good(3))
      const got: Array<number> = []
      const take = ({ n }: typeof Ask.Type) => Effect.sync(() => got.push(n))
      yield* values.values(batches, () => Effect.sync(() => got.push(-got.length))).pipe(Stream.runForEach(take))
      assert.deepStrictEqual(got, [1, 2, -2, 3])
      const failed = yield* values.values(batches, Effect.fail).pipe(Stream.tap(take), Stream.runDrain, Effect.flip)
      assert.deepStrictEqual([got.slice(4), failed.code], [[1, 2], 1007])
      const results = yield* Stream.runCollect(values.results(batches))
      assert.deepStrictEqual(results.map(Result.isSuccess), [true, true, false, true])
    }))

  it.effect("a client closes a server's bad message in the same way", () =>
    Effect.gen(function*() {
      const { client, raw } = yield* pair()
      yield* raw.server.send(`{"_tag":"Twice","n":"x"}`)
      assert.deepInclude(yield* Effect.flip(client.receive), { code: 1008, path: "n" })
      assert.deepInclude(yield* raw.server.closed, { code: 1008, reason: "invalid value at n" })
    }))

  it.effect("the path names no content, and the reason fits into a Close", () =>
    Effect.gen(function*() {
      const Deep = Contract.make("deep", {
        toServer: Schema.Struct({ list: Schema.Array(Schema.Record(Schema.String, Schema.Finite)) }),
        toClient: Schema.Never
      })
      const { client, server } = yield* TestWebSocket.pair({ subprotocol: "deep+json" })
      const side = yield* Contract.server(Deep, server, { onInvalid: () => Effect.void })
      const paths: Array<string> = []
      for (const key of ["plain", "\u001b[31mred\r\n", "k".repeat(1000), "ключ"]) {
        yield* client.send(JSON.stringify({ list: [{}, { [key]: "x" }] }))
        const [result] = yield* Stream.runCollect(Stream.take(side.results, 1))
        if (Result.isSuccess(result)) return assert.fail()
        assert.isAtMost(result.failure.reason.length, 123)
        paths.push(result.failure.reason)
      }
      assert.deepStrictEqual(paths, [
        "invalid value at list[1].plain",
        "invalid value at list[1].??31mred??",
        `invalid value at list[1].${"k".repeat(95)}...`,
        "invalid value at list[1].????"
      ])
    }))

  it.effect("a defect of a Schema of one's own is not taken for the peer's fault", () =>
    Effect.gen(function*() {
      const Faulty = Schema.String.pipe(Schema.decodeTo(
        Schema.String,
        SchemaTransformation.transform({
          decode: (text: string): string => {
            throw new TypeError(text)
          },
          encode: (text: string) => text
        })
      ))
      const C = Contract.make("faulty", { toServer: Faulty, toClient: Schema.Never })
      const { client, server } = yield* TestWebSocket.pair({ subprotocol: "faulty+json" })
      const side = yield* Contract.server(C, server)
      yield* client.send(`"oops"`)
      assert.isTrue(Exit.hasDies(yield* Effect.exit(side.receive)))
    }))

  it.effect("a value nested without end is refused, not thrown", () =>
    Effect.gen(function*() {
      interface Tree {
        readonly of?: Tree
      }
      const Tree = Schema.Struct({ of: Schema.optionalKey(Schema.suspend((): Schema.Codec<Tree> => Tree)) })
      const Forest = Contract.make("forest", { toServer: Tree, toClient: Schema.Never })
      const { client, server } = yield* TestWebSocket.pair({ subprotocol: "forest+json" })
      const side = yield* Contract.server(Forest, server)
      yield* client.send(`${`{"of":`.repeat(100_000)}{}${"}".repeat(100_000)}`)
      assert.deepInclude(yield* Effect.flip(side.receive), { _tag: "InvalidMessage", code: 1007 })
    }))
})

describe("Contract.handle and Contract.connect", () => {
  it.effect("agree on the contract and its codec in the handshake", () =>
    Effect.gen(function*() {
      const connection = yield* Contract.connect(Doubler, url)
      assert.strictEqual(connection.codec, "json")
      yield* connection.send({ n: 21, at })
      assert.deepStrictEqual(yield* connection.receive, { _tag: "Twice", n: 42 })
      const Binary = Contract.make("doubler.v2", { ...both, codecs: [Contract.binary] })
      const other = yield* Contract.connect(Binary, url)
      yield* other.send({ n: 4, at })
      assert.deepStrictEqual([other.codec, yield* other.receive], ["binary", { _tag: "Twice", n: 8 }])
    }).pipe(Effect.provide(app(twice))))

  it.effect("a client of another version is refused before the 101, and told what the server speaks", () =>
    Effect.gen(function*() {
      const Old = Contract.make("doubler.v1", both)
      const error = yield* Effect.flip(Contract.connect(Old, url))
      assert.deepStrictEqual(error, new Contract.ContractMismatch({ offered: Old.subprotocols, spoken: Doubler.subprotocols }))
      assert.include(error.message, "speaks doubler.v2+json, doubler.v2+binary")
      for (const subprotocols of [undefined, ["doubler.v1+json"]]) {
        const refused = yield* Effect.flip(WebSocketClient.connect(url, { subprotocols }))
        assert.deepInclude(refused, { _tag: "HandshakeError", status: 400 })
        assert.include(refused._tag === "HandshakeError" ? refused.body : "", "it speaks doubler.v2+json, doubler.v2+binary")
      }
      assert.lengthOf(yield* links, 0)
      assert.deepInclude(yield* Effect.flip(Contract.connect(Doubler, `${url}nowhere`)), { _tag: "HandshakeError", status: 404 })
    }).pipe(Effect.provide(app(twice))))

  it.effect("a client that offers no subprotocol at all is let in by option, and speaks the first codec", () =>
    Effect.gen(function*() {
      const ws = yield* WebSocketClient.connect(url)
      assert.isUndefined(ws.subprotocol)
      yield* ws.send(good(3))
      assert.strictEqual(yield* ws.receive, `{"_tag":"Twice","n":6}`)
      const refused = yield* Effect.flip(WebSocketClient.connect(url, { subprotocols: "other" }))
      assert.deepInclude(refused, { _tag: "HandshakeError", status: 400 })
    }).pipe(Effect.provide(app(Contract.handle(
      Doubler,
      (connection) =>
        connection.messages.pipe(
          Stream.map(({ n }) => Answer.cases.Twice.make({ n: 2 * n })),
          Stream.run(connection.sink)
        ),
      { requireSubprotocol: false }
    )))))

  it.effect("a server may speak several versions, told apart by their name", () => {
    const V1 = Contract.make("echo.v1", { toServer: Schema.String, toClient: Schema.String })
    const V2 = Contract.make("echo.v2", {
      toServer: Schema.Struct({ text: Schema.String }),
      toClient: Schema.Struct({ text: Schema.String })
    })
    const echo = Contract.handle([V2, V1], (connection) =>
      connection.name === "echo.v2"
        ? connection.messages.pipe(Stream.map(({ text }) => ({ text: `2 ${text}` })), Stream.run(connection.sink))
        : connection.messages.pipe(Stream.map((text) => `1 ${text}`), Stream.run(connection.sink)))
    return Effect.gen(function*() {
      const old = yield* Contract.connect(V1, url)
      yield* old.send("a")
      assert.strictEqual(yield* old.receive, "1 a")
      const recent = yield* Contract.connect(V2, url)
      yield* recent.send({ text: "a" })
      assert.deepStrictEqual(yield* recent.receive, { text: "2 a" })
    }).pipe(Effect.provide(app(echo)))
  })

  it.effect("a bad message is the peer's fault and no failure of the handler; what cannot be encoded is the handler's", () => {
    const ended: Array<string> = []
    const handler = Contract.handle(Doubler, (connection) =>
      connection.receive.pipe(
        Effect.flatMap(() => connection.send(Answer.cases.Sorry.make({ why: "x".repeat(21) }, { disableChecks: true }))),
        Effect.onExit((exit) => Effect.sync(() => ended.push(String(exit))))
      )).pipe(Effect.tapCause((cause) => Effect.sync(() => ended.push(`failed: ${cause}`))))
    return Effect.gen(function*() {
      const bad = yield* Contract.connect(Doubler, url)
      yield* bad.ws.send("{}")
      assert.deepInclude(yield* bad.ws.closed, { code: 1008, reason: "invalid value at n" })
      yield* Effect.yieldNow
      assert.lengthOf(ended, 1)
      assert.include(ended[0], "InvalidMessage")
      const connection = yield* Contract.connect(Doubler, url)
      yield* connection.send({ n: 1, at })
      assert.deepInclude(yield* connection.ws.closed, { code: 1011 })
      yield* TestClock.adjust("1 second")
      assert.lengthOf(ended, 3)
      assert.include(ended[2], "failed:")
      assert.include(ended[2], "SchemaError")
    }).pipe(Effect.provide(app(handler)))
  })

  it.effect("`accept` decides for itself, and takes the options of the connection", () => {
    const handler = Effect.gen(function*() {
      const connection = yield* Contract.accept(Doubler, { maxMessageSize: 64, onInvalid: () => Effect.void })
      yield* connection.ws.send("nonsense")
      yield* connection.send({ _tag: "Sorry", why: "busy" })
      return HttpServerResponse.empty()
    }).pipe(Effect.scoped)
    return Effect.gen(function*() {
      const connection = yield* Contract.connect(Doubler, url, { onInvalid: () => Effect.void })
      assert.deepStrictEqual(yield* connection.receive, { _tag: "Sorry", why: "busy" })
    }).pipe(Effect.provide(app(handler)))
  })
})

describe("Contract.reconnecting", () => {
  it.effect("carries values over one connection after the other, each with the codec that it agreed on", () => {
    const Binary = Contract.make("doubler.v2", { ...both, codecs: [Contract.binary] })
    const codecs: Array<string> = []
    let accepted = 0
    const handler = Effect.suspend(() =>
      Contract.handle<typeof Doubler, void, unknown, never>(accepted++ % 2 === 0 ? Doubler : Binary, (connection) => {
        codecs.push(connection.codec)
        return connection.messages.pipe(
          Stream.take(1),
          Stream.runForEach(({ n }) => connection.send({ _tag: "Twice", n: 2 * n }))
        )
      })
    )
    return Effect.gen(function*() {
      const client = yield* Contract.reconnecting(Doubler, url)
      const read = yield* Effect.forkChild(Stream.runCollect(Stream.take(client.messages, 3)))
      for (const n of [1, 2, 3]) {
        yield* eventually(client.send({ n, at }))
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(yield* eventually(Fiber.join(read)), [2, 4, 6].map((n) => ({ _tag: "Twice" as const, n })))
      assert.deepStrictEqual(codecs.slice(0, 3), ["json", "binary", "json"])
      assert.deepInclude(yield* Effect.flip(client.send({ n: Number.NaN, at })), { _tag: "SchemaError" })
    }).pipe(Effect.provide(app(handler)))
  })

  it.effect("another version ends it, and a bad message; `onOpen` speaks first", () => {
    const handler = Contract.handle(Doubler, (connection) =>
      Effect.gen(function*() {
        const { n } = yield* connection.receive
        yield* connection.send({ _tag: "Twice", n })
        yield* connection.ws.send(`{"_tag":"Twice"}`)
        return yield* Effect.never
      }))
    return Effect.gen(function*() {
      const other = yield* Contract.reconnecting(Contract.make("doubler.v1", both), url)
      assert.deepInclude(yield* Effect.flip(Stream.runDrain(other.messages)), { _tag: "ContractMismatch" })
      const client = yield* Contract.reconnecting(Doubler, url, { onOpen: (connection) => connection.send({ n: 5, at }) })
      const read: Array<unknown> = []
      const error = yield* Effect.flip(Stream.runForEach(client.messages, (value) => Effect.sync(() => read.push(value))))
      assert.deepStrictEqual(read, [{ _tag: "Twice", n: 5 }])
      assert.deepInclude(error, { _tag: "InvalidMessage", path: "n" })
      assert.deepInclude(yield* client.status, { _tag: "Ended", loss: error })
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* links, 1)
    }).pipe(Effect.provide(app(handler)))
  })
})

describe("Contract.run", () => {
  it.effect("runs a session of values with each connection", () => {
    let accepted = 0
    const handler = Contract.handle(Doubler, (connection) =>
      Effect.gen(function*() {
        const { n } = yield* connection.receive
        yield* connection.send({ _tag: "Twice", n: n + accepted++ })
      }))
    return Effect.gen(function*() {
      const seen: Array<number> = []
      const running = yield* Effect.forkChild(Contract.run(Doubler, url, (connection) =>
        Effect.gen(function*() {
          yield* connection.send({ n: 10, at })
          const answer = yield* connection.receive
          if (answer._tag === "Twice") seen.push(answer.n)
          if (seen.length === 3) return "enough"
          return yield* Effect.andThen(connection.receive, Effect.never)
        }), { onStatus: (status) => Effect.logDebug(ReconnectingClient.describe(status)) }))
      assert.strictEqual(yield* eventually(Fiber.join(running)), "enough")
      assert.deepStrictEqual(seen, [10, 11, 12])
    }).pipe(Effect.provide(app(handler)))
  })
})
