/**
 * For tests of programs that speak WebSocket: connections and servers in memory, and
 * links that go wrong on purpose. Everything happens on Effect's Clock and Scheduler,
 * so that under `TestClock` a test runs the same each time, in no time.
 *
 * Imported from `@effect-ws/core/testing`, so that none of it ends up in a program.
 *
 * @since 0.1.0
 */

/** The laws of brokers, to which an implementation of your own can be held. */
export * as BrokerLaws from "./BrokerLaws.ts"
/** A broker that goes wrong on purpose. */
export * as TestBroker from "./TestBroker.ts"
/** A link between two transports that chops, delays, stalls, resets and loses. */
export * as TestLink from "./TestLink.ts"
/** An HTTP server in memory whose routes accept WebSockets, and a way to connect to it. */
export * as TestServer from "./TestServer.ts"
/** Connections in memory: a pair of them, or one to a handler. */
export * as TestWebSocket from "./TestWebSocket.ts"
