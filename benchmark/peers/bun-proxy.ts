/** A proxy on Bun's own server and client, run by Bun. Environment: PORT and UPSTREAM. */

interface Downstream {
  data: { readonly upstream: WebSocket; readonly early: Array<string | Uint8Array<ArrayBuffer>> }
  readonly send: (message: string | ArrayBuffer) => number
  readonly close: () => void
}

/** What is used of Bun, whose types are not installed. */
interface Bun {
  readonly serve: (options: object) => { readonly port: number }
}

const { PORT, UPSTREAM } = process.env

const server = (globalThis as unknown as { readonly Bun: Bun }).Bun.serve({
  hostname: "127.0.0.1",
  port: Number(PORT),
  fetch: (request: Request, server: { readonly upgrade: (request: Request, options: object) => boolean }) =>
    server.upgrade(request, { data: {} }) ? undefined : new Response("a WebSocket request is needed", { status: 426 }),
  websocket: {
    maxPayloadLength: 16 * 1024 * 1024,
    backpressureLimit: 1024 * 1024 * 1024,
    idleTimeout: 0,
    sendPings: false,
    open: (downstream: Downstream) => {
      const upstream = new WebSocket(UPSTREAM!)
      const early: Downstream["data"]["early"] = []
      downstream.data = { upstream, early }
      upstream.binaryType = "arraybuffer"
      upstream.addEventListener("open", () => {
        for (const message of early) upstream.send(message)
      })
      upstream.addEventListener("message", ({ data }) => downstream.send(data as string | ArrayBuffer))
      upstream.addEventListener("close", () => downstream.close())
    },
    message: ({ data }: Downstream, message: string | Uint8Array<ArrayBuffer>) => {
      if (data.upstream.readyState === WebSocket.OPEN) data.upstream.send(message)
      else data.early.push(message)
    },
    close: ({ data }: Downstream) => data.upstream.close()
  }
})

console.log(`listening on ws://127.0.0.1:${server.port}`)
