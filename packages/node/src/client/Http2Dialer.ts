/**
 * Dials over HTTP/2 by extended CONNECT (RFC 8441). A server that does not speak HTTP/2, or
 * whose HTTP/2 does not allow it, is dialled over HTTP/1.1.
 */
import { Handshake, WebSocketClient, WebSocketError } from "@effect-ws/core"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http2 from "node:http2"
import { grouped, lowerPairsOf } from "../transport/RawHeaders.ts"
import type { Transports } from "../transport/Transports.ts"
import type { Http2Options, Sessions } from "./Http2Sessions.ts"

const ignore = () => {}

// After so many refusals, those on new sessions included, the dial fails.
const mostRefusals = 3

/** A tunnel fails with a typed error already. */
const failureOf = (error: unknown): WebSocketError.HandshakeError | WebSocketError.IOError =>
  error instanceof WebSocketError.HandshakeError || error instanceof WebSocketError.IOError
    ? error
    : WebSocketClient.connectError(error)

/** Dials over HTTP/2 if the server allows it, and by `fallback` if it does not. */
export const make = (
  sessions: Sessions,
  options: Http2Options,
  fallback: WebSocketClient.Dialer,
  transports: Transports
): WebSocketClient.Dialer => ({
  dial: Effect.fnUntraced(function*(request) {
    const url = yield* Effect.fromResult(Handshake.normalizeUrl(request.url))
    if (url.protocol === "http:" && options.plain !== true) return yield* fallback.dial(request)
    yield* transports.ready
    const headers = grouped(Handshake.overConnect(request).headers)
    for (let refusals = 0;;) {
      const opened = yield* open(sessions, url, headers)
      if (opened === "full") continue
      if (opened === "http/1.1") return yield* fallback.dial(request)
      const { shared, stream } = opened
      const retire = Effect.sync(() => sessions.retire(url, shared))
      // A dial that was given up retires the session, which may be silent, so that the next dial opens a new one.
      const head = yield* Effect.onInterrupt(headOf(stream), () => retire)
      if (head !== undefined) return yield* dialed(stream, head, url, transports)
      if (++refusals === mostRefusals) return yield* refusedStream(stream.rstCode)
      yield* retire
    }
  })
})

/** Opens a stream on the session of an origin, in the same step in which it sees that there is room for one. */
const open = (sessions: Sessions, url: URL, headers: Http2.OutgoingHttpHeaders) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const shared = sessions.join(url)
      const opening = Effect.tryPromise({ try: () => shared.opening, catch: failureOf })
      const session = yield* restore(WebSocketClient.awaiting(opening, () => shared.awaited.name())).pipe(
        Effect.onInterrupt(() => Effect.sync(() => shared.isAwaited || sessions.retire(url, shared))),
        Effect.onError(() => Effect.sync(() => shared.leave()))
      )
      if (session === undefined || shared.isFull) {
        shared.leave()
        return session === undefined ? "http/1.1" : "full"
      }
      const stream = yield* Effect.acquireRelease(
        Effect.try({ try: () => shared.request(session, headers), catch: WebSocketClient.connectError }),
        (stream) => Effect.sync(() => stream.destroyed || stream.close(Http2.constants.NGHTTP2_CANCEL))
      ).pipe(Effect.ensuring(Effect.sync(() => shared.leave())))
      stream.on("error", ignore)
      return { shared, stream }
    })
  )

/** The head of the answer; `undefined` where the server refused the stream unprocessed, so that it may be tried again (RFC 9113 §8.7). */
const headOf = (stream: Http2.ClientHttp2Stream): Effect.Effect<Handshake.HeaderList | undefined, WebSocketError.IOError> =>
  Effect.callback((resume) => {
    const isRefused = () => stream.rstCode === Http2.constants.NGHTTP2_REFUSED_STREAM
    stream.once("response", (_, __, raw) => resume(Effect.succeed(lowerPairsOf(raw as unknown as ReadonlyArray<string>))))
    stream.once("error", (error) => resume(isRefused() ? Effect.undefined : Effect.fail(WebSocketClient.connectError(error))))
    stream.once("close", () => resume(isRefused() ? Effect.undefined : Effect.fail(refusedStream(stream.rstCode))))
  })

const dialed = (
  stream: Http2.ClientHttp2Stream,
  headers: Handshake.HeaderList,
  url: URL,
  transports: Transports
): Effect.Effect<WebSocketClient.Dialed, WebSocketError.IOError | WebSocketError.HandshakeError, Scope.Scope> =>
  Effect.gen(function*() {
    const status = Number(headers.find(([name]) => name === ":status")?.[1])
    const response: Handshake.HandshakeResponse = {
      transport: "connect",
      status,
      headers: headers.filter(([name]) => !name.startsWith(":")),
      url: url.href
    }
    if (status >= 200 && status <= 299) return { response, transport: Effect.sync(() => transports.make(stream)) }
    const readable = NodeStream.fromReadable<Uint8Array, unknown>({ evaluate: () => stream, onError: (error) => error })
    const body = yield* WebSocketClient.readRefusal(readable, transports.primitives)
    return { response: { ...response, body }, transport: WebSocketClient.notSwitched }
  })

const refusedStream = (code: number | undefined): WebSocketError.IOError =>
  new WebSocketError.IOError({
    phase: "handshake",
    reason: "Reset",
    detail: `The server reset the HTTP/2 stream of the handshake (error code ${code ?? 0})`
  })
