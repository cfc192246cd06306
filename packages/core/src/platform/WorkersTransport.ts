/**
 * The server's end of a `WebSocketPair`: as `EventTransport`, but for a peer's Close, which this side
 * has to answer.
 */
import type { Capabilities } from "../Capabilities.ts"
import { EventTransport, type WebSocketLike } from "../native/EventTransport.ts"

export class WorkersTransport extends EventTransport {
  constructor(socket: WebSocketLike, capabilities: Capabilities) {
    super(socket, capabilities)
    socket.addEventListener("close", ({ code = 1005, reason = "" }) => {
      try {
        // A code that may not be sent, such as 1005, is answered by a Close without one.
        if (code === 1005 || code === 1006) socket.close()
        else socket.close(code, reason)
      } catch {
        // It is answered already, or the connection is gone.
      }
    })
  }

  // `bufferedAmount` counts what has not reached the runtime, which takes everything: it says nothing of the client.
  override bufferedBytes(): number {
    return 0
  }
}
