/** Reaching the connection behind an HttpClient's 101, and leaving alone what cannot be reached. */
import { assert, describe, it } from "@effect/vitest"
import { Handshake } from "@effect-ws/core"
import { NodeTransport } from "@effect-ws/node"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { Buffer } from "node:buffer"
import { PassThrough } from "node:stream"
import * as UpgradedResponse from "../../src/undocumented/UpgradedResponse.ts"
import { answering, switching, until } from "../support/RawPeer.ts"

const request = (port: number) => {
  const made = Result.getOrThrow(Handshake.makeRequest({ url: `ws://127.0.0.1:${port}/` }))
  return HttpClientRequest.get(made.url).pipe(
    HttpClientRequest.setHeaders(made.headers),
    HttpClientRequest.upgrade("websocket")
  )
}

const clients = [
  ["undici", NodeHttpClient.layerUndiciOptions({ allowH2: false })],
  ["node:http", NodeHttpClient.layerNodeHttp]
] as const

describe("UpgradedResponse", () => {
  for (const [name, layer] of clients) {
    for (const scoped of [true, false]) {
      it.live(`takes over the connection of ${name}, ${scoped ? "bare" : "behind the wrapper of a client without a scope"}`, () =>
        Effect.gen(function*() {
          const { peers, port } = yield* answering((_, accept) => [switching(accept), "early "])
          const client = yield* HttpClient.HttpClient
          const response = yield* scoped
            ? HttpClient.withScope(client).execute(request(port))
            : client.execute(request(port))
          yield* response.upgrade
          const upgraded = UpgradedResponse.find(response)
          if (upgraded === undefined) return assert.fail("out of reach")
          assert.strictEqual(Buffer.from(upgraded.early!).toString(), "early ")
          const transport = NodeTransport.fromDuplex(upgraded.duplex, upgraded.early)
          const seen = yield* Effect.callback<string>((resume) => {
            let text = ""
            transport.start({
              onData: (chunk) => {
                text += Buffer.from(chunk).toString()
                if (text === "early ") peers[0]!.write("late")
                if (text === "early late") resume(Effect.succeed(text))
              },
              onEnd: () => {},
              onTaken: () => {},
              onClosed: () => {}
            })
          })
          assert.strictEqual(seen, "early late")
          transport.write([Buffer.from("answer")])
          yield* until("the answer", () => peers[0]!.text === "answer")
          transport.destroy()
          yield* peers[0]!.untilEnded
        }).pipe(Effect.provide(Layer.fresh(layer))))
    }
  }

  it("leaves alone what keeps its connection elsewhere, or has none any more", () => {
    const dead = new PassThrough()
    dead.destroy()
    const read = new PassThrough()
    read.on("data", () => {})
    const endless: Record<string, unknown> = {}
    endless["original"] = endless
    const strange: ReadonlyArray<object> = [
      {},
      endless,
      { upgraded: 1 },
      { upgraded: {} },
      { source: null },
      { original: null },
      { upgraded: dead },
      { source: { upgraded: read } }
    ]
    for (const response of strange) assert.isUndefined(UpgradedResponse.find(response))
  })

  it("finds a stream that is no socket as well", () => {
    const duplex = new PassThrough()
    assert.deepStrictEqual(UpgradedResponse.find({ original: { source: { upgraded: duplex } } }), { duplex, early: undefined })
  })
})
