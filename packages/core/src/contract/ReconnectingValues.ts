/** A client that comes back whose messages are values. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { Client, SendOptions } from "../reconnect/Client.ts"
import type { Status } from "../reconnect/Status.ts"
import type { Loss } from "../reconnect/Verdict.ts"
import type { WebSocket } from "../WebSocket.ts"
import type { DeliveryUnknown, InvalidArgument, NotConnected } from "../WebSocketError.ts"
import { type Any, sideOf } from "./Definition.ts"
import type { InvalidMessage } from "./InvalidMessage.ts"
import type { Prepared } from "./Prepared.ts"
import { type OnInvalid, Values } from "./Values.ts"

export class ReconnectingValues<In, Out, E> {
  readonly client: Client<E | InvalidMessage>
  private readonly contract: Any
  private readonly context: Context.Context<never>
  private readonly onInvalid: (error: InvalidMessage) => Effect.Effect<void, InvalidMessage>
  // The values of the connection that was used last.
  private known: { readonly ws: WebSocket; readonly values: Values<In, Out> } | undefined

  constructor(client: Client<E | InvalidMessage>, contract: Any, context: Context.Context<never>, onInvalid: OnInvalid) {
    this.client = client
    this.contract = contract
    this.context = context
    // On another connection the same server would send the same message, or another of the same kind.
    this.onInvalid = onInvalid === "close"
      ? (error) => Effect.andThen(client.fail(error, error.code, error.reason), Effect.fail(error))
      : onInvalid
  }

  get status(): Effect.Effect<Status<E | InvalidMessage>> {
    return this.client.status
  }

  get statuses(): Stream.Stream<Status<E | InvalidMessage>> {
    return this.client.statuses
  }

  get messages(): Stream.Stream<In, Loss<E | InvalidMessage>> {
    return this.client.read((ws) => this.valuesOf(ws).values(ws.messages, this.onInvalid))
  }

  get results(): Stream.Stream<Result.Result<In, InvalidMessage>, Loss<E | InvalidMessage>> {
    return this.client.read((ws) => this.valuesOf(ws).results(ws.messages))
  }

  readonly send = (
    value: Out | Prepared<Out>,
    options?: SendOptions
  ): Effect.Effect<void, NotConnected | DeliveryUnknown | Schema.SchemaError> =>
    this.client.sendAs((ws) => this.valuesOf(ws).encode(value), options)

  get sink(): Sink.Sink<void, Out | Prepared<Out>, never, NotConnected | DeliveryUnknown | Schema.SchemaError> {
    return Sink.forEach((value: Out | Prepared<Out>) => this.send(value))
  }

  get flush(): Effect.Effect<void, DeliveryUnknown> {
    return this.client.flush
  }

  get dropped(): Effect.Effect<number> {
    return this.client.dropped
  }

  get retryNow(): Effect.Effect<void> {
    return this.client.retryNow
  }

  readonly close = (code?: number, reason?: string): Effect.Effect<void, InvalidArgument> => this.client.close(code, reason)

  /** Each connection may have another codec. */
  private valuesOf(ws: WebSocket): Values<In, Out> {
    if (this.known?.ws === ws) return this.known.values
    // The handshake fails unless it agrees on one of them.
    const side = sideOf(this.contract, "client", ws.subprotocol)!
    const values = new Values<In, Out>(side, this.context)
    this.known = { ws, values }
    return values
  }
}
