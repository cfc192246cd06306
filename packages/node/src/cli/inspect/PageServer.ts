/**
 * Serves the page of an inspection, and sends it each observation when it is made. The page shows other people's
 * traffic, so its address holds a token that no other page or program knows.
 */
import { WebSocketServer } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import { randomBytes, timingSafeEqual } from "node:crypto"
import { createServer } from "node:http"
import * as NodeHttpServer from "../../NodeHttpServer.ts"
import type { Observation } from "./Observation.ts"
import { page } from "./Page.ts"
import { closeText, flagsOf, nameOf } from "./Show.ts"
import { showBytes } from "../text/Quantities.ts"

/** How many bytes of a payload are sent to the page. */
const mostBytes = 64 * 1024
/** How many observations are kept for a page that is opened later. */
const mostKept = 2000

const decoder = new TextDecoder()

const cut = (length: number): string => `the first ${showBytes(mostBytes)} of ${showBytes(length)}`

const bytesOf = (bytes: Uint8Array) => ({
  base64: Buffer.from(bytes.subarray(0, mostBytes)).toString("base64"),
  ...(bytes.length > mostBytes && { cut: cut(bytes.length) })
})

const textOf = (text: string) => ({
  text: text.slice(0, mostBytes),
  ...(text.length > mostBytes && { cut: cut(text.length) })
})

/** An observation in the form that the page expects. */
export const toItem = ({ at, broken, connection, from, what }: Observation): object => {
  const common = { at, broken, connection, from }
  switch (what._tag) {
    case "Head":
      return { ...common, title: what.head.start, headers: what.head.headers }
    case "Bytes":
      return { ...common, title: "no frames", size: showBytes(what.bytes.length), ...bytesOf(what.bytes) }
    case "End":
      return { ...common, title: what.how }
    case "Frame": {
      const { completed, frame } = what
      const content = completed?.message ?? (frame.opcode === 8 ? closeText(frame.data) : frame.opcode === 1 && !frame.rsv1
        ? decoder.decode(frame.data)
        : frame.data)
      return {
        ...common,
        title: nameOf(frame.opcode),
        flags: flagsOf(frame),
        size: showBytes(frame.data.length),
        ...(completed !== undefined && {
          message: showBytes(completed.bytes) + (completed.isCompressed ? ` inflated from ${showBytes(completed.wireBytes)}` : "")
        }),
        ...(typeof content === "string" ? textOf(content) : bytesOf(content))
      }
    }
  }
}

export interface PageServer {
  readonly url: string
  readonly show: (observation: Observation) => void
}

const isSame = (given: string, token: string): boolean => {
  const [a, b] = [Buffer.from(given), Buffer.from(token)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Serves until the scope ends. */
export const make = (host: string, port: number, target: string) =>
  Effect.gen(function*() {
    const token = randomBytes(16).toString("base64url")
    const kept: Array<object> = []
    const news = yield* PubSub.sliding<object>(mostKept)
    const app = Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const url = URL.parse(request.url, "http://page.invalid")
      if (url === null || !isSame(url.searchParams.get("token") ?? "", token)) {
        return HttpServerResponse.text("Use the address that effect-ws printed, with its token.\n", {
          status: 403
        })
      }
      if (url.pathname !== "/live") {
        return HttpServerResponse.html(page(target)).pipe(HttpServerResponse.setHeaders({
          "cache-control": "no-store",
          "referrer-policy": "no-referrer",
          "content-security-policy":
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        }))
      }
      const ws = yield* WebSocketServer.accept()
      const subscription = yield* PubSub.subscribe(news)
      yield* ws.send(JSON.stringify(kept))
      yield* Stream.fromSubscription(subscription).pipe(
        Stream.runForEachArray((items) => ws.send(JSON.stringify(items))),
        Effect.raceFirst(ws.closed),
        Effect.ignore
      )
      return HttpServerResponse.empty()
    }).pipe(Effect.scoped)
    const context = yield* Layer.build(
      HttpServer.serve(app).pipe(
        Layer.provideMerge(NodeHttpServer.layerServer(createServer, { host, port, shutdown: { grace: 200 } }))
      )
    )
    const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
    const served: PageServer = {
      url: `http://${host.includes(":") ? `[${host}]` : host}:${"port" in address ? address.port : port}/?token=${token}`,
      show: (observation) => {
        const item = toItem(observation)
        if (kept.push(item) > mostKept) kept.shift()
        PubSub.publishUnsafe(news, item)
      }
    }
    return served
  })
