// An echo server of Bun, whose WebSockets are those of uWebSockets.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => server.upgrade(request) ? undefined : new Response("no upgrade", { status: 426 }),
  websocket: {
    maxPayloadLength: 16 * 1024 * 1024,
    backpressureLimit: 64 * 1024 * 1024,
    perMessageDeflate: true,
    idleTimeout: 0,
    message: (socket, message) => {
      socket.send(message, true)
    }
  }
})
console.log(`ws://127.0.0.1:${server.port}/`)
