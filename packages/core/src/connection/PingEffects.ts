/** The effects of a connection that sends and sees control frames (RFC 6455 §5.5.2-§5.5.3). */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { InvalidArgument } from "../WebSocketError.ts"
import type { Outcome, SendError } from "./Sending.ts"

/** A control frame as an observer sees it. */
export interface ControlFrame {
  readonly type: "ping" | "pong"
  readonly payload: Uint8Array
}

/** What sends Pings and sees Pongs. */
export interface PingSource {
  freshToken(): Uint8Array
  send(token: Uint8Array, onPong?: (roundTrip: number) => void): () => void
  observe(observer: (frame: ControlFrame) => void): () => void
  /** Runs `append` if control frames may be sent now and the mark allows it. */
  attempt(append: () => void): Outcome
}

/** The writer of a connection as its Pings see it. */
export interface ControlWriter {
  readonly link: { readonly isClosed: boolean; once(what: "closed", listener: () => void): () => void }
  readonly error: SendError
  run(attempt: () => Outcome, overtakes?: boolean): Effect.Effect<void, SendError>
}

const invalidToken = (token: Uint8Array) =>
  Effect.fail(
    new InvalidArgument({ argument: "token", detail: `${token.length} bytes; at most 125 fit (RFC 6455 §5.5)` })
  )

const maxControls = 64

/** Runs `append` once control frames may be sent and the mark allows it; they overtake senders that wait. */
const control = (pings: PingSource, writer: ControlWriter, append: () => void): Effect.Effect<void, SendError> =>
  Effect.suspend(() => writer.run(() => pings.attempt(append), true))

/** Sends a Ping, and waits for its Pong or a later one's. */
export const ping = (
  pings: PingSource,
  writer: ControlWriter,
  token: Uint8Array | undefined
): Effect.Effect<Duration.Duration, SendError | InvalidArgument> => {
  if (token !== undefined && token.length > 125) return invalidToken(token)
  return Effect.suspend(() => {
    const { link } = writer
    let roundTrip: number | undefined
    let wake: (() => void) | undefined
    let forget: (() => void) | undefined
    let offClosed: (() => void) | undefined
    const send = control(pings, writer, () => {
      forget = pings.send(token ?? pings.freshToken(), (millis) => {
        roundTrip = millis
        wake?.()
      })
    })
    const pong = Effect.callback<Duration.Duration, SendError>((resume) => {
      const settle = () => {
        if (roundTrip !== undefined) resume(Effect.succeed(Duration.millis(roundTrip)))
        else if (link.isClosed) resume(Effect.fail(writer.error))
        else return false
        return true
      }
      if (settle()) return
      wake = settle
      offClosed = link.once("closed", settle)
    })
    return Effect.ensuring(
      Effect.flatMap(send, () => pong),
      Effect.sync(() => {
        forget?.()
        offClosed?.()
      })
    )
  })
}

/** Sends a Ping. */
export const sendPing = (
  pings: PingSource,
  writer: ControlWriter,
  token: Uint8Array | undefined
): Effect.Effect<void, SendError | InvalidArgument> =>
  token !== undefined && token.length > 125
    ? invalidToken(token)
    : control(pings, writer, () => pings.send(token ?? pings.freshToken()))

/** The peer's control frames, until the connection has closed. */
export const controls = (pings: PingSource, { link }: ControlWriter): Stream.Stream<ControlFrame> =>
  Stream.callback<ControlFrame>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const offControls = pings.observe((frame) => Queue.offerUnsafe(queue, frame))
          const end = () => Queue.endUnsafe(queue)
          const offClosed = link.isClosed ? (end(), () => {}) : link.once("closed", end)
          return () => {
            offControls()
            offClosed()
          }
        }),
        (off) => Effect.sync(off)
      ),
    { bufferSize: maxControls, strategy: "sliding" }
  )
