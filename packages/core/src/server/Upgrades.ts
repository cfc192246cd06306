/** What an HTTP server of any platform provides, so that its requests can become connections. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Handshake from "../Handshake.ts"
import type { MessageTransport } from "../MessageTransport.ts"
import type { Primitives } from "../Primitives.ts"
import type { Transport } from "../Transport.ts"
import type { IOError } from "../WebSocketError.ts"
import type { OpenConnections } from "./OpenConnections.ts"

/**
 * One request that can become a connection, as an HTTP server provides it: the head as it was sent,
 * and a way to its transport.
 *
 * **Details**
 *
 * `open` answers the request as `answer` says and returns the transport, with the bytes that arrived
 * early. It is called once. A platform that provides the connection later returns an effect; if that
 * is interrupted, the platform drops the connection. `sha1` is the platform's own, if it has one.
 *
 * A platform that frames messages by itself returns a `MessageTransport`, and sets
 * `negotiatesExtensions` to `false`: then no extension is chosen, whatever is asked for.
 *
 * `expire` is called when the deadline of the handshake has passed while the handler still runs. If
 * the request was not answered, it answers 503 and drops the connection, which interrupts the
 * handler; `open` is impossible afterwards. `HttpUpgrade.serve` keeps the deadline.
 *
 * @category models
 * @since 0.1.0
 */
export interface Upgrade {
  readonly request: Handshake.UpgradeRequest
  readonly open: (
    answer: Handshake.UpgradeResponse
  ) => Transport | MessageTransport | Effect.Effect<Transport | MessageTransport, IOError>
  readonly negotiatesExtensions?: boolean | undefined
  readonly sha1?: Primitives["sha1"] | undefined
  readonly expire?: (() => void) | undefined
}

/**
 * What an HTTP server offers to `accept`: its upgrades, found by the `source` of
 * their request (or by the `key` of its `HttpUpgrade.PendingUpgrade`), and its open
 * connections, as `makeConnections` makes them.
 *
 * **When to use**
 *
 * To let the HTTP server of another platform accept connections. A server provides it to the effect
 * that it serves.
 *
 * @category services
 * @since 0.1.0
 */
export class Upgrades extends Context.Service<Upgrades, {
  readonly find: (source: object) => Upgrade | undefined
  readonly connections: OpenConnections
}>()("@effect-ws/core/WebSocketServer/Upgrades") {}
