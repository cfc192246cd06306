/**
 * What observes connections, and the options of it. Over bytes and on servers that is `Telemetry`; a
 * client on the platform's own WebSocket has what the program provides, so that a page which observes
 * nothing does not load it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { LazyArg } from "effect/Function"
import type * as LogLevel from "effect/LogLevel"
import type { HandshakeError, IOError } from "../WebSocketError.ts"
import type { ObservedLink } from "./LinkHooks.ts"

/**
 * What is reported of a connection. Options left out are those of {@link CurrentOptions}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Whether a connection has a span, where there is a tracer. Default true. */
  readonly span?: boolean | undefined
  /** Whether a connection logs. Default true. */
  readonly logs?: boolean | undefined
  /**
   * The level of the log lines. Default `Debug`, which Effect does not show by default,
   * because peers decide how many lines there are.
   */
  readonly logLevel?: LogLevel.Severity | undefined
  /**
   * Whether what the handler of `WebSocketServer.handle` logs carries the attributes of its
   * connection. Default false: the context that this needs costs an idle connection about
   * 0.7 KiB.
   */
  readonly handlerLogs?: boolean | undefined
  /** Whether a connection counts in the metrics. Default true. */
  readonly metrics?: boolean | undefined
}

/**
 * The options of connections that are not given their own.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentOptions: Context.Reference<Options> = /*#__PURE__*/ Context.Reference<Options>(
  "@effect-ws/core/Observability/CurrentOptions",
  { defaultValue: () => ({}) }
)

/** What spans and log lines say of a connection. */
export type Attributes = Readonly<Record<string, unknown>>

/** What is known of a connection besides its link. */
export interface Described {
  readonly observability?: Options | undefined
  readonly subprotocol?: string | undefined
  /** Called only if the attributes are used. */
  readonly attributes?: LazyArg<Attributes> | undefined
}

/** What observes connections, from their handshake on. */
export interface Observer {
  /** Attaches what observes a connection that opens now. Returns what is left to do, if anything. */
  attach(fiber: Fiber.Fiber<unknown, unknown>, link: ObservedLink, described: Described): Effect.Effect<void> | undefined
  /** Connects to this URL, by a function that takes what is said of the connection. Reports a handshake that fails. */
  connecting<A, E extends HandshakeError | IOError, R>(
    url: string | URL,
    observability: Options | undefined,
    connect: (attributes: Described["attributes"]) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R>
}

/** The observer that the program provides, for connections that have none of their own. */
export const ProvidedObserver: Context.Reference<Observer | undefined> = Context.Reference<Observer | undefined>(
  "@effect-ws/core/Observability/Observer",
  { defaultValue: () => undefined }
)
