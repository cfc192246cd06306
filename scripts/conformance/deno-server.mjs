// An echo server of Deno.
Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`ws://127.0.0.1:${port}/`)
}, (request) => {
  if (request.headers.get("upgrade") !== "websocket") return new Response("no upgrade", { status: 426 })
  const { response, socket } = Deno.upgradeWebSocket(request, { idleTimeout: 0 })
  socket.binaryType = "arraybuffer"
  socket.addEventListener("message", ({ data }) => socket.send(data))
  socket.addEventListener("error", () => {})
  return response
})
