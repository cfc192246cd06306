/**
 * What is talked to: one connection, or one after the other.
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
  /** Until the end; a failure is one of the command. */
  readonly messages: Stream.Stream<Message.Message, Failure>
  readonly send: (message: Message.Message) => Effect.Effect<void, unknown>
  /** Milliseconds until the pong. */
  readonly ping: (payload?: Uint8Array) => Effect.Effect<number, unknown>
  /** Closes, or waits until it is closed; tells how, where there was a connection. */
  readonly close: (
    code: number | undefined,
    reason?: string
  ) => Effect.Effect<CloseCode.CloseInfo | undefined, WebSocketError.InvalidArgument>
  /** Whether the last connection ended before it had accepted what each connection says first. */
  readonly isCutShort: () => boolean
  /** After `close`: how many messages were accepted by a connection that then ended, and may not have arrived. */
  readonly mayBeLost: Effect.Effect<number>
}

export interface SessionOptions {
  readonly url: string
  readonly connect: WebSocketClient.ConnectOptions
  /** What each connection says first. */
  readonly send: ReadonlyArray<string>
  readonly style: Style
}

type Services = WebSocketClient.Connector | Scope.Scope

const watchPings = (ws: WebSocket.WebSocket, view: View) =>
  Stream.runForEach(ws.controls, ({ payload, type }) => Effect.sync(() => type === "ping" && view.pinged(payload)))

const millis = Effect.map(Duration.toMillis)

/** Sends what each connection says first, and returns whether the connection accepted all of it. */
const introduce = (ws: WebSocket.WebSocket, send: ReadonlyArray<string>, view: View): Effect.Effect<boolean> =>
  Effect.matchEager(ws.sendAll(send), {
    onSuccess: () => true,
    onFailure: (error) => {
      view.note(`not all of --send was sent: ${error.message}`)
      return false
    }
  })

/** One connection; what it says first is sent before this completes. The view is made once it is open. */
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
      // How it ended is known from how it closed.
      messages: Stream.catch(ws.messages, () => Stream.empty),
      send: (message) => ws.send(message),
      ping: (payload) => millis(ws.ping(payload)),
      close: (code, reason) => ws.close(code, reason),
      isCutShort: () => !isIntroduced,
      // How the one connection ended says it.
      mayBeLost: Effect.succeed(0)
    }, view]
  })

/** Why a client that comes back does not come back any more. */
const lossOf = (loss: ReconnectingClient.Loss, style: Style): Failure => {
  switch (loss._tag) {
    case "HandshakeError":
    case "IOError":
      return failureOf(loss, style)
    case "ConnectionClosed":
      return failed(`${Closing.describe(loss.info, style)}\nTrying again would not mend that.`)
    case "ProtocolError":
      return failed(style.red(loss.message))
  }
}

/** Why the next connection is needed. Whether a Close was answered is not known yet, so nothing is said of it. */
const whyLost = (loss: ReconnectingClient.Loss): string =>
  loss._tag !== "ConnectionClosed"
    ? loss.message
    : `the ${loss.info.initiator === "remote" ? "server" : "connection"} closed with ${loss.info.code} ` +
      `${CloseCode.nameOf(loss.info.code)}${loss.info.reason === "" ? "" : `: ${loss.info.reason}`}`

/** One connection after the other, until there is no hope. */
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
