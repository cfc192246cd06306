/**
 * A connector that performs the opening handshake of RFC 6455 §4.1 over anything that sends a
 * request and returns the answer.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Handshake from "../Handshake.ts"
import * as Negotiation from "../handshake/Negotiation.ts"
import { observer } from "../connection/Telemetry.ts"
import { toHeaderList } from "../http/HeadersInput.ts"
import { isRelative, relativeBase } from "../http/RelativeUrl.ts"
import * as PerMessageDeflate from "../PerMessageDeflate.ts"
import type { Transport } from "../Transport.ts"
import * as WebSocket from "../WebSocket.ts"
import { type HandshakeError, IOError } from "../WebSocketError.ts"
import { Connector } from "./Connector.ts"

/**
 * What a {@link Dialer} returns: the answer to the request and, if it accepts, the transport.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dialed {
  readonly response: Handshake.HandshakeResponse
  readonly transport: Effect.Effect<Transport, HandshakeError | IOError, Scope.Scope>
}

/**
 * Sends the request of a handshake and returns the answer, whatever it is.
 * {@link makeConnector} applies the rules of the handshake.
 *
 * **When to use**
 *
 * To give a platform a faster way than `HttpClient`, or to connect through something that is not
 * an HTTP client.
 *
 * **Details**
 *
 * The request is for HTTP/1.1. A dialler that speaks HTTP/2 sends what `Handshake.overConnect`
 * makes from it, and sets `transport: "connect"` in the response.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dialer {
  readonly dial: (request: Handshake.HandshakeRequest) => Effect.Effect<Dialed, HandshakeError | IOError, Scope.Scope>
}

/**
 * Makes a `Connector` from a {@link Dialer}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeConnector = (dialer: Dialer): Connector["Service"] =>
  Connector.of({
    observer,
    open: Effect.fnUntraced(function*(url, options) {
      const relative = isRelative(url)
      const extensions = [
        ...options.extensions ?? [],
        ...yield* PerMessageDeflate.fromOption(options.compression ?? true)
      ]
      const made = yield* Effect.fromResult(Handshake.makeRequest({
        url,
        base: relative ? relativeBase : undefined,
        subprotocols: options.subprotocols,
        extensions: yield* Effect.fromResult(Negotiation.offer(extensions)),
        headers: toHeaderList(options.headers)
      }))
      const request = relative ? { ...made, url: made.url.slice(relativeBase.length) } : made
      const { response, transport } = yield* dialer.dial(request)
      const agreed = yield* Effect.fromResult(Handshake.checkResponse(response, {
        ...request,
        // A URL without a scheme did not ask for TLS, so it cannot be downgraded.
        url: relative ? undefined : request.url,
        requireSubprotocol: options.requireSubprotocol
      }))
      const extension = yield* Effect.fromResult(Negotiation.agree(extensions, agreed.extensions, response))
      const opened = yield* transport
      return {
        make: (options) => WebSocket.make(opened, { ...options, extension }),
        subprotocol: agreed.subprotocol,
        responseHeaders: response.headers.map(([name, value]) => [name.toLowerCase(), value] as const)
      }
    })
  })

/**
 * The transport of an answer that does not accept: it fails, because there is none.
 *
 * @category errors
 * @since 0.1.0
 */
export const notSwitched: Effect.Effect<never, IOError> = Effect.suspend(() =>
  Effect.fail(new IOError({ phase: "handshake", reason: "Aborted", detail: "The server did not switch protocols" }))
)
