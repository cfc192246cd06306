/**
 * WebSockets for Effect on Node.
 *
 * @since 0.1.0
 */
import "./transport/NodeVersion.ts"

/** Replaces `NodeClusterHttp` of `@effect/platform-node`: a cluster over WebSockets. */
export * as NodeClusterHttp from "./NodeClusterHttp.ts"
/** DEFLATE by Node's zlib. */
export * as NodeDeflate from "./NodeDeflate.ts"
/** An `HttpServer` layer whose routes accept WebSockets. */
export * as NodeHttpServer from "./NodeHttpServer.ts"
/** Node's primitives. */
export * as NodePrimitives from "./NodePrimitives.ts"
/** Replaces `NodeSocket` of `@effect/platform-node`: sockets that connect to a URL. */
export * as NodeSocket from "./NodeSocket.ts"
/** Replaces `NodeSocketServer` of `@effect/platform-node`: a `SocketServer` of WebSockets. */
export * as NodeSocketServer from "./NodeSocketServer.ts"
/** Effect's `Redis` service on a Redis Cluster. */
export * as NodeRedisCluster from "./NodeRedisCluster.ts"
/** A Node stream as a transport. */
export * as NodeTransport from "./NodeTransport.ts"
/** Undocumented interfaces of Node and V8: which are in use, and how to turn them off. */
export * as NodeTuning from "./NodeTuning.ts"
/** Connecting from Node. */
export * as NodeWebSocketClient from "./NodeWebSocketClient.ts"
/** A server for WebSockets alone. */
export * as NodeWebSocketServer from "./NodeWebSocketServer.ts"
