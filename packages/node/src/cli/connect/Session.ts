/**
 * A session with a server: one connection, or one after the other.
 */
import {
  CloseCode,
  type Message,
  ReconnectingClient,
  type WebSocket,
  type WebSocketClient,
  type WebSocketError
} from "@effect-ws/core"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { connect } from "../Dial.ts"
import { failed, type Failure } from "../Failure.ts"
import type { Style } from "../terminal/Style.ts"
import * as Closing from "../text/Closing.ts"
import { plural, showMillis } from "../text/Quantities.ts"
import { failureOf } from "../text/Refusal.ts"
import * as Deliveries from "./Deliveries.ts"
import type { View } from "./View.ts"

export interface Session {
  /** All messages until the end. Its failure is the command's. */
  readonly messages: Stream.Stream<Message.Message, Failure>
  readonly send: (message: Message.Message) => Effect.Effect<void, unknown>
  /** Milliseconds until the pong. */
  readonly ping: (payload?: Uint8Array) => Effect.Effect<number, unknown>
  /** Closes the connection, or waits until it is closed. Returns how it closed, `undefined` if there was none. */
  readonly close: (
    code: number | undefined,
    reason?: string
  ) => Effect.Effect<CloseCode.CloseInfo | undefined, WebSocketError.InvalidArgument>
  /** Whether the last connection ended before it had accepted all of `--send`. */
  readonly isCutShort: () => boolean
  /** After `close`: how many messages may not have arrived, because the connection that accepted them ended. */
  readonly mayBeLost: Effect.Effect<number>
}

export interface SessionOptions {
  readonly url: string
  readonly connect: WebSocketClient.ConnectOptions
  /** The messages that are sent first on each connection. */
  readonly send: ReadonlyArray<string>
  readonly style: Style
}

type Services = WebSocketClient.Connector | Scope.Scope

const watchPings = (ws: WebSocket.WebSocket, view: View) =>
  Stream.runForEach(ws.controls, ({ payload, type }) => Effect.sync(() => type === "ping" && view.pinged(payload)))

const millis = Effect.map(Duration.toMillis)

/** Sends the first messages, and returns whether the connection accepted all of them. */
const introduce = (ws: WebSocket.WebSocket, send: ReadonlyArray<string>, view: View): Effect.Effect<boolean> =>
  Effect.matchEager(ws.sendAll(send), {
    onSuccess: () => true,
    onFailure: (error) => {
      view.note(`not all of --send was sent: ${error.message}`)
      return false
    }
  })

/** Opens one connection and sends the first messages. The view is made once the connection is open. */
export const once = <R>(
  { connect: connectTo, send, style, url }: SessionOptions,
  makeView: Effect.Effect<View, never, R>
): Effect.Effect<readonly [Session, View], Failure, Services | R> =>
  Effect.gen(function*() {
    const started = performance.now()
    const ws = yield* connect(url, connectTo, style)
    const took = performance.now() - started
    const view = yield* makeView
    view.opened(ws, url, took)
    yield* Effect.forkScoped(watchPings(ws, view))
    const isIntroduced = yield* introduce(ws, send, view)
    return [{
      // `close` tells how it ended.
      messages: Stream.catch(ws.messages, () => Stream.empty),
      send: (message) => ws.send(message),
      ping: (payload) => millis(ws.ping(payload)),
      close: (code, reason) => ws.close(code, reason),
      isCutShort: () => !isIntroduced,
      // The close code shows whether the only connection ended properly.
      mayBeLost: Effect.succeed(0)
    }, view]
  })

/** Why no further connection is made. */
const lossOf = (loss: ReconnectingClient.Loss, style: Style): Failure => {
  switch (loss._tag) {
    case "HandshakeError":
    case "IOError":
      return failureOf(loss, style)
    case "ConnectionClosed":
      return failed(`${Closing.describe(loss.info, style)}\nAnother attempt would not change that.`)
    case "ProtocolError":
      return failed(style.red(loss.message))
  }
}

/** Why another connection is needed. It does not say whether a Close was answered, because that is not known yet. */
const whyLost = (loss: ReconnectingClient.Loss): string =>
  loss._tag !== "ConnectionClosed"
    ? loss.message
    : `the ${loss.info.initiator === "remote" ? "server" : "connection"} closed with ${loss.info.code} ` +
      `${CloseCode.nameOf(loss.info.code)}${loss.info.reason === "" ? "" : `: ${loss.info.reason}`}`

/** One connection after the other, until another attempt cannot succeed. */
export const again = (
  { connect: connectTo, send, style, url }: SessionOptions,
  view: View
): Effect.Effect<Session, never, Services> =>
  Effect.gen(function*() {
    let started = performance.now()
    let last: WebSocket.WebSocket | undefined
    let isIntroduced = true
    const deliveries = yield* Deliveries.make((count) =>
      view.note(`${plural(count, "message")} may not have arrived: the connection ended before the server had confirmed them`)
    )
    const client = yield* ReconnectingClient.make(url, {
      ...connectTo,
      onOpen: (ws) =>
        Effect.suspend(() => {
          view.opened(ws, url, performance.now() - started)
          last = ws
          return Effect.andThen(
            deliveries.begin(ws),
            Effect.map(introduce(ws, send, view), (all) => {
              isIntroduced = all
            })
          )
        })
    })
    yield* Effect.forkScoped(Stream.runForEach(client.statuses, (status) =>
      Effect.sync(() => {
        if (status._tag === "Connecting") started = performance.now()
        if (status._tag !== "Waiting") return
        const left = Math.max(0, DateTime.toEpochMillis(status.until) - Date.now())
        view.note(`trying again in ${showMillis(left)}: ${whyLost(status.loss)}`)
      })))
    return {
      messages: Stream.mapError(client.messages, (loss) => lossOf(loss, style)),
      send: (message) => Effect.andThen(client.send(message), deliveries.accepted),
      ping: (payload) => Effect.flatMap(client.connection, (ws) => deliveries.ping(ws, payload)),
      close: (code, reason) =>
        Effect.gen(function*() {
          yield* client.close(code, reason)
          return last === undefined ? undefined : yield* last.closed
        }),
      isCutShort: () => !isIntroduced,
      mayBeLost: deliveries.mayBeLost
    }
  })
