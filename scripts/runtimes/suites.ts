/** Which tests run on the other runtimes themselves. What is about Node alone (its handles, its heap, its clusters) does not. */

export interface Suite {
  readonly name: string
  readonly tests: ReadonlyArray<string>
}

const node = (...names: ReadonlyArray<string>) => names.map((name) => `packages/node/test/${name}`)

export const suites: ReadonlyArray<Suite> = [
  { name: "all of `core`", tests: ["packages/core/test"] },
  {
    name: "transports and DEFLATE",
    tests: node("NodeTransport.test.ts", "transport/DuplexTransport.test.ts", "NodePrimitives.test.ts", "NodeDeflate.test.ts", "deflate")
  },
  {
    name: "servers",
    tests: node("NodeHttpServer.test.ts", "NodeWebSocketServer.test.ts", "HttpUpgrade.test.ts", "upgrade", "HandlerLifetime.test.ts")
  },
  { name: "shutdown and backpressure", tests: node("Shutdown.test.ts", "Backpressure.test.ts") },
  { name: "clients and TLS", tests: node("NodeWebSocketClient.test.ts", "client", "Tls.test.ts") },
  { name: "Effect's sockets and RPC", tests: node("NodeSocket.test.ts", "SocketContract.test.ts", "Rpc.test.ts") },
  {
    name: "compression and interop",
    tests: node("Compression.test.ts", "interop/Interop.test.ts")
  }
]
