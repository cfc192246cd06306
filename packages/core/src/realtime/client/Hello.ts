/** The beginning of a connection: credentials, where there are any, and what the server allows. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Latch from "effect/Latch"
import type { Values } from "../../contract/Values.ts"
import type { InvalidMessage } from "../../contract/InvalidMessage.ts"
import type { ReceiveError, SendError, WebSocket } from "../../WebSocket.ts"
import { IOError } from "../../WebSocketError.ts"
import type { Failed, ToClient, ToServer, Welcome } from "../wire/Messages.ts"
import type { Calls } from "./Calls.ts"
import { TopicError } from "./Errors.ts"

/** A token, and after what time a new one is to be sent in its place. */
export interface Token {
  readonly token: string
  readonly refreshAfter?: Duration.Input | undefined
}

export interface Greeting {
  readonly welcome: typeof Welcome.Type
  readonly token: Token | undefined
}

export type TokenEffect<E> = Effect.Effect<string | Token, E> | undefined

const patience = "10 seconds"

const late = Effect.fail(
  new IOError({ phase: "handshake", reason: "TimedOut", detail: `The server has not begun to speak of topics within ${patience}` })
)

const unable = (detail: string) =>
  Effect.fail(new IOError({ phase: "handshake", reason: "Unknown", detail: `The server could not check the token: ${detail}` }))

/** What says nothing of the token. */
const isUnable = ({ code, retryAfter }: typeof Failed.Type): boolean =>
  code === "defect" || code === "unavailable" || code === "unknown" || (code === "limit" && retryAfter !== undefined)

const refused = (detail: string) => new TopicError({ operation: "authenticate", topic: "", code: "refused", detail })

const toToken = (token: string | Token): Token => typeof token === "string" ? { token } : token

// Calls count from 1.
const first = 0

/** Shows the token and waits for the server's first message. One refused token is followed by one fresh one. */
export const greet = <E>(
  ws: WebSocket,
  values: Values<ToClient, ToServer>,
  tokens: TokenEffect<E>
): Effect.Effect<Greeting, E | ReceiveError | SendError | InvalidMessage | TopicError> => {
  const talk = Effect.gen(function*() {
    let welcome: typeof Welcome.Type | undefined
    let token: Token | undefined
    let accepted = tokens === undefined
    let refusals = 0
    if (tokens !== undefined) yield* show()
    while (welcome === undefined || !accepted) {
      const message = yield* Effect.flatMap(ws.receive, (message) => values.decode(message))
      if (message.type === "welcome") welcome = message
      else if (message.type === "done" && message.id === first) accepted = true
      else if (message.type === "failed" && message.id === first) {
        // Another connection is made, behind the usual wait.
        if (isUnable(message)) return yield* unable(message.message)
        if (++refusals > 1) return yield* refused(message.message)
        yield* show()
      }
    }
    return { welcome, token }

    function show() {
      return Effect.flatMap(tokens!, (given) => {
        token = toToken(given)
        return ws.send(JSON.stringify({ type: "authenticate", id: first, token: token.token }))
      })
    }
  })
  return Effect.timeoutOrElse(talk, { duration: patience, orElse: () => late })
}

// Tokens that live shortly make no flood of requests.
const pause = Duration.seconds(1)

/** Shows a new token whenever it is time, or the server says so, for as long as the connection is there. */
export const refresh = <E>(calls: Calls, tokens: TokenEffect<E>, token: Token | undefined, expiring: Latch.Latch): Effect.Effect<void> => {
  if (tokens === undefined) return Effect.void
  const after = token?.refreshAfter
  const told = Effect.andThen(Effect.sleep(pause), expiring.await)
  const time = after === undefined
    ? told
    : Effect.raceFirst(Effect.sleep(Duration.max(pause, Duration.fromInputUnsafe(after))), told)
  return Effect.andThen(time, tokens).pipe(
    Effect.flatMap((given) => {
      const next = toToken(given)
      expiring.closeUnsafe()
      calls.ask({ type: "authenticate", token: next.token })
      return refresh(calls, tokens, next, expiring)
    }),
    // The server closes the connection when the old token expires, and the next attempt begins with a new one.
    Effect.catchCause((cause) =>
      Cause.hasInterrupts(cause) ? Effect.void : Effect.logWarning("A token for topics could not be refreshed", cause))
  )
}
