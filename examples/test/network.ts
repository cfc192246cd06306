/** A network between a page and its server, which can be cut and led elsewhere. */
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { onTestFinished } from "vitest"

/** A network between the browser and its server, which can be cut and led elsewhere. */
export const network = async (port: number) => {
  const sockets = new Set<Socket>()
  let target: number | undefined = port
  const server = createServer((near) => {
    if (target === undefined) {
      near.destroy()
      return
    }
    const far = connect(target, "127.0.0.1")
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on("error", () => {}).on("close", () => sockets.delete(socket))
    }
    near.pipe(far).pipe(near)
  }).listen(0, "127.0.0.1")
  const cut = () => {
    target = undefined
    for (const socket of sockets) socket.destroy()
  }
  onTestFinished(() => {
    cut()
    server.close()
  })
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    leadTo: (port: number) => {
      target = port
    }
  }
}
