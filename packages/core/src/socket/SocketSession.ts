/**
 * One connection as Effect's `Socket` sees it, as long as the reader's scope is open.
 */
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Socket from "effect/socket/Socket"
import type { Message } from "../Message.ts"
import type { WebSocket } from "../WebSocket.ts"
import { IOError, ProtocolError } from "../WebSocketError.ts"
import { FailablePull, type Fork } from "./FailablePull.ts"
import type { SendError } from "../connection/Sending.ts"

type Batch = readonly [Message, ...Array<Message>]

/** A Close as the stock `Socket` reports it: the peer's code, 1006 where there was none. */
const closeError = (code: number, reason = ""): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketCloseError({ code, closeReason: reason }) })

/** Why a connection did not open: an error of this library, or the failure of an Effect of the program. */
export const openError = (cause: unknown): Socket.SocketError =>
  new Socket.SocketError({
    reason: new Socket.SocketOpenError({
      kind: cause instanceof IOError && cause.reason === "TimedOut" ? "Timeout" : "Unknown",
      cause
    })
  })

const writeError = (cause: unknown): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause }) })

const readError = (error: ProtocolError | IOError): Socket.SocketError =>
  error instanceof ProtocolError
    ? new Socket.SocketError({ reason: new Socket.SocketReadError({ cause: error }) })
    // A close has no field for it, but a log should show what broke.
    : Object.assign(closeError(1006), { cause: error })

export class SocketSession {
  private readonly ws: WebSocket
  private readonly fork: Fork
  private readonly reader: FailablePull<Batch, Socket.SocketError>
  // The reader learns of the end by its pull.
  private pulls = false

  constructor(ws: WebSocket, fork: Fork) {
    this.ws = ws
    this.fork = fork
    this.reader = new FailablePull(this.next, fork)
  }

  private get next(): Effect.Effect<Batch, Socket.SocketError> {
    const { closed, pull } = this.ws
    return Effect.mapError(pull as Pull.Pull<Batch, ProtocolError | IOError>, (error) =>
      "_tag" in error && (error._tag === "ProtocolError" || error._tag === "IOError") ? readError(error) : error).pipe(
        Pull.catchDone(() =>
          Effect.flatMap(closed, ({ received }) => Effect.fail(closeError(received?.code ?? 1006, received?.reason)))
        )
      )
  }

  readonly pull: Effect.Effect<Batch, Socket.SocketError> = Effect.suspend(() => {
    this.pulls = true
    return Effect.tapError(this.reader.pull, () => {
      this.pulls = false
      return Effect.void
    })
  })

  /** The reader's scope closes. */
  release(): void {
    this.reader.fail(Effect.fail(closeError(1006)))
  }

  write(chunk: Message | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> {
    return Socket.isCloseEvent(chunk) ? this.close(chunk) : this.sent(this.ws.send(chunk))
  }

  writeAll(chunks: ReadonlyArray<Message>): Effect.Effect<void, Socket.SocketError> {
    return this.sent(this.ws.sendAll(chunks))
  }

  /**
   * Writes that the connection's end cuts off are reported where it is read, as the stock socket does:
   * callers that treat a failed write as a defect would never see the Close.
   */
  private sent(send: Effect.Effect<void, SendError>): Effect.Effect<void, Socket.SocketError> {
    return Effect.catch(send, (error) => this.pulls ? Effect.void : Effect.fail(writeError(error)))
  }

  /** Begins the closing handshake. The pull reports how it ended. */
  private close({ code, reason }: Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> {
    return Effect.suspend(() => {
      const exit = this.fork(this.ws.close(code, reason)).pollUnsafe()
      return exit === undefined ? Effect.void : Effect.asVoid(Effect.mapError(exit, writeError))
    })
  }
}
