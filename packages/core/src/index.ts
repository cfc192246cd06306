/**
 * WebSockets (RFC 6455) for Effect.
 *
 * Each module is a namespace: `Frame.make`, `WebSocketClient.connect`,
 * `WebSocketServer.handle`. Start with those two, or with `Protocol` and `Frame` to
 * build something of your own. Topics are in `@effect-ws/core/realtime`, tests in
 * `@effect-ws/core/testing`.
 *
 * @since 0.1.0
 */

/** An HTTP server on `Bun.serve`. */
export * as BunHttpServer from "./BunHttpServer.ts"
/** What a connection can do. */
export * as Capabilities from "./Capabilities.ts"
/** The codes of a Close frame, and how a connection closed. */
export * as CloseCode from "./CloseCode.ts"
/** What all compression contexts of a process may take. */
export * as CompressionBudget from "./CompressionBudget.ts"
/** What two sides send each other, as Schemas that both import. */
export * as Contract from "./Contract.ts"
/** An HTTP server on `Deno.serve`. */
export * as DenoHttpServer from "./DenoHttpServer.ts"
/** Connections as Effect's `Socket`, and back. */
export * as EffectSocket from "./EffectSocket.ts"
/** The grammar of `Sec-WebSocket-Extensions`. */
export * as Extension from "./Extension.ts"
/** Frames as data: make, encode, decode. */
export * as Frame from "./Frame.ts"
/** Frames out of chunks of bytes. */
export * as FrameDecoder from "./FrameDecoder.ts"
/** Frames over any Effect `Socket`. */
export * as FrameSocket from "./FrameSocket.ts"
/** The opening handshake as plain data, both roles. */
export * as Handshake from "./Handshake.ts"
/** `HttpServerRequest.upgrade` on connections of this library, for HTTP server layers. */
export * as HttpUpgrade from "./HttpUpgrade.ts"
/** Every limit and deadline with its default. */
export * as Limits from "./Limits.ts"
/** What all connections of a process may hold together. */
export * as MemoryBudget from "./MemoryBudget.ts"
/** Messages: text or binary. */
export * as Message from "./Message.ts"
/** What an extension is: negotiation and the transformation of messages. */
export * as MessageExtension from "./MessageExtension.ts"
/** What is under a connection whose platform frames messages by itself. */
export * as MessageTransport from "./MessageTransport.ts"
/** Connecting by the WebSocket that a platform has of its own. */
export * as NativeWebSocketClient from "./NativeWebSocketClient.ts"
/** A span, log lines and metrics of each connection. */
export * as Observability from "./Observability.ts"
/** The six opcodes. */
export * as Opcode from "./Opcode.ts"
/** Which web pages may connect to a server. */
export * as Origin from "./Origin.ts"
/** Messages compressed with DEFLATE (RFC 7692). */
export * as PerMessageDeflate from "./PerMessageDeflate.ts"
/** What a platform may do faster than portable JavaScript. */
export * as Primitives from "./Primitives.ts"
/** One connection as a state machine without I/O. */
export * as Protocol from "./Protocol.ts"
/** A client that comes back: one connection after the other to a service. */
export * as ReconnectingClient from "./ReconnectingClient.ts"
/** The byte stream under a connection. */
export * as Transport from "./Transport.ts"
/** A connection as a scoped resource. */
export * as WebSocket from "./WebSocket.ts"
/** Connecting to a server. */
export * as WebSocketClient from "./WebSocketClient.ts"
/** The options of connections, read from Effect's `Config`. */
export * as WebSocketConfig from "./WebSocketConfig.ts"
/** Everything that can go wrong, as typed errors. */
export * as WebSocketError from "./WebSocketError.ts"
/** Accepting connections inside an HTTP route. */
export * as WebSocketServer from "./WebSocketServer.ts"
/** An HTTP application as a Cloudflare Worker. */
export * as WorkersHttpServer from "./WorkersHttpServer.ts"
