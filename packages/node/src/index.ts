/**
 * WebSockets for Effect on Node.
 *
 * @since 0.1.0
 */
import "./transport/NodeVersion.ts"

/** In place of `NodeClusterHttp` of `@effect/platform-node`: a cluster over WebSockets. */
export * as NodeClusterHttp from "./NodeClusterHttp.ts"
/** DEFLATE by Node's zlib. */
export * as NodeDeflate from "./NodeDeflate.ts"
/** An `HttpServer` layer whose routes may accept WebSockets. */
export * as NodeHttpServer from "./NodeHttpServer.ts"
/** Node's primitives. */
export * as NodePrimitives from "./NodePrimitives.ts"
/** In place of `NodeSocket` of `@effect/platform-node`: sockets that connect to a URL. */
export * as NodeSocket from "./NodeSocket.ts"
/** In place of `NodeSocketServer` of `@effect/platform-node`: a `SocketServer` of WebSockets. */
export * as NodeSocketServer from "./NodeSocketServer.ts"
/** A Node stream as a transport. */
export * as NodeTransport from "./NodeTransport.ts"
/** What Node and V8 can do beyond their documentation: off, on, and in use. */
export * as NodeTuning from "./NodeTuning.ts"
/** Connecting from Node. */
export * as NodeWebSocketClient from "./NodeWebSocketClient.ts"
/** A server for WebSockets alone. */
export * as NodeWebSocketServer from "./NodeWebSocketServer.ts"
