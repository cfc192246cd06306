/** A connection whose messages are values. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { Sendable } from "../Message.ts"
import type { ReceiveError, SendError, WebSocket } from "../WebSocket.ts"
import type { IOError, ProtocolError } from "../WebSocketError.ts"
import type { Side } from "./Definition.ts"
import type { InvalidMessage } from "./InvalidMessage.ts"
import type { Prepared } from "./Prepared.ts"
import { type OnInvalid, refuse, Values } from "./Values.ts"

export class ValueConnection<Name extends string, In, Out> extends Inspectable.Class {
  readonly name: Name
  readonly codec: string
  readonly ws: WebSocket
  readonly #values: Values<In, Out>
  readonly #onInvalid: (error: InvalidMessage) => Effect.Effect<void, InvalidMessage>

  constructor(ws: WebSocket, name: Name, side: Side, context: Context.Context<never>, onInvalid: OnInvalid) {
    super()
    this.ws = ws
    this.name = name
    this.codec = side.codec
    this.#values = new Values(side, context)
    this.#onInvalid = onInvalid === "close" ? (error) => refuse(ws, error) : onInvalid
  }

  toJSON(): unknown {
    const { codec, name, ws } = this
    return { _id: "Contract.Connection", name, codec, ws }
  }

  get messages(): Stream.Stream<In, ProtocolError | IOError | InvalidMessage> {
    return this.#values.values(this.ws.messages, this.#onInvalid)
  }

  get results(): Stream.Stream<Result.Result<In, InvalidMessage>, ProtocolError | IOError> {
    return this.#values.results(this.ws.messages)
  }

  get receive(): Effect.Effect<In, ReceiveError | InvalidMessage> {
    return this.#next()
  }

  #next(): Effect.Effect<In, ReceiveError | InvalidMessage> {
    return Effect.flatMap(this.ws.receive, (message) =>
      Effect.catch(this.#values.decode(message), (error) => Effect.andThen(this.#onInvalid(error), this.#next())))
  }

  readonly send = (value: Out | Prepared<Out>): Effect.Effect<void, SendError | Schema.SchemaError> =>
    Effect.suspend(() => Effect.flatMapEager(this.#values.encode(value), this.ws.send))

  readonly sendAll = (values: Iterable<Out | Prepared<Out>>): Effect.Effect<void, SendError | Schema.SchemaError> =>
    Effect.suspend(() => {
      const messages: Array<Sendable> = []
      // The values before the one that cannot be encoded are sent.
      return Effect.matchEffect(this.#values.encodeInto(messages, values), {
        onFailure: (error) => Effect.andThen(this.ws.sendAll(messages), Effect.fail(error)),
        onSuccess: () => this.ws.sendAll(messages)
      })
    })

  get sink(): Sink.Sink<void, Out | Prepared<Out>, never, SendError | Schema.SchemaError> {
    return Sink.forEachArray((values) => values.length === 1 ? this.send(values[0]) : this.sendAll(values))
  }
}
