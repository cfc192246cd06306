/** A server's WebSocket that a platform opens once the answer has been sent. */
import * as Effect from "effect/Effect"
import type { MessageTransport } from "../MessageTransport.ts"
import { IOError } from "../WebSocketError.ts"
import type { WebSocketLike } from "../native/EventTransport.ts"

const neverOpened = (cause: unknown): IOError =>
  new IOError({
    phase: "handshake",
    reason: "Reset",
    detail: "The client was gone before its connection was open",
    ...(cause === undefined ? undefined : { cause })
  })

/** Waits until a socket is open. `make` is called then, at once: a message may come by the next event. */
export const openTransport = (
  socket: WebSocketLike,
  make: () => MessageTransport
): Effect.Effect<MessageTransport, IOError> =>
  Effect.callback((resume) => {
    if (socket.readyState === 1) return resume(Effect.succeed(make()))
    let cause: unknown
    const onOpen = () => {
      leave()
      resume(Effect.succeed(make()))
    }
    const onError = (event: { readonly error?: unknown; readonly message?: string }) => {
      cause = event.error ?? event.message
    }
    const onClose = () => {
      leave()
      resume(Effect.fail(neverOpened(cause)))
    }
    const leave = () => {
      socket.removeEventListener("open", onOpen)
      socket.removeEventListener("error", onError)
      socket.removeEventListener("close", onClose)
    }
    socket.addEventListener("open", onOpen)
    socket.addEventListener("error", onError)
    socket.addEventListener("close", onClose)
    return Effect.sync(() => {
      leave()
      socket.addEventListener("error", () => {})
      socket.close()
    })
  })
