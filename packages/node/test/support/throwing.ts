/** A process whose transport's receiver throws. */
import * as Net from "node:net"
import * as HandleTransport from "../../src/transport/HandleTransport.ts"
import * as SocketProbe from "../../src/undocumented/SocketProbe.ts"

await SocketProbe.run()
const server = Net.createServer({ pauseOnConnect: true }, (socket) => {
  const transport = HandleTransport.take(socket, undefined)
  if (transport === undefined) throw new Error("not taken over")
  transport.start({
    onData: () => {
      throw new Error("thrown by a receiver")
    },
    onEnd: () => {},
    onTaken: () => {},
    onClosed: () => {}
  })
})
server.listen(0, "127.0.0.1", () => {
  Net.connect((server.address() as Net.AddressInfo).port, "127.0.0.1").write("something")
})
