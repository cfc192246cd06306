/**
 * The conformance suite over HTTP/2: a sample of the cases here, all of them where HTTP2_CASES=all says so
 * (the script `npm run conformance:http2`).
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import { createServer } from "node:http2"
import { cases, compressionCases } from "../../src/conformance/cases/Cases.ts"
import type { Case } from "../../src/conformance/cases/Case.ts"
import { isFull, type Result, runAll, runServerCase } from "../../src/conformance/Runner.ts"
import { type Bridge, bridge } from "../support/Http2Bridge.ts"

const isAll = process.env["HTTP2_CASES"] === "all"

/** Each sixth of the cases that take no time; groups 9, 10 and 12 on move megabytes. */
const sample = (all: ReadonlyArray<Case>, every: number): ReadonlyArray<Case> =>
  isAll ? all : all.filter(({ id }, i) => i % every === 0 && !/^(9|10|12|13)\./.test(id))

const play = (name: string, compression: false | { readonly threshold: number }, chosen: ReadonlyArray<Case>) => {
  describe(`Conformance of the server over HTTP/2${name}`, () => {
    const route = WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), {
      compression,
      maxMessageSize: 16 * 1024 * 1024,
      keepAlive: false
    })
    const Served = HttpRouter.serve(HttpRouter.add("GET", "/", route), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(() => createServer({ settings: { enableConnectProtocol: true } }), { port: 0, host: "127.0.0.1" }))
    )
    const runtime = ManagedRuntime.make(Served)
    let link: Bridge | undefined
    let results: ReadonlyMap<string, Result> = new Map()
    beforeAll(async () => {
      const origin = await runtime.runPromise(HttpServer.addressFormattedWith((url) => Effect.succeed(url)))
      link = await bridge(origin)
      const { url } = link
      results = await runAll(chosen, (item) => runServerCase({ url }, item))
    }, 600_000)
    afterAll(async () => {
      await link?.close()
      await runtime.dispose()
    })

    for (const item of chosen) {
      it(`${item.id} ${item.description}`, () => {
        const result = results.get(item.id)
        if (result === undefined) return assert.fail("not run")
        assert.isTrue(isFull(item, result), `${result.behaviour}, close ${result.closeBehaviour}: ${result.message}`)
      })
    }
  })
}

play("", false, sample(cases, 6))
play(", with compression", { threshold: 0 }, sample(compressionCases, 12))
