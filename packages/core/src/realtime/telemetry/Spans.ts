/** The spans of what is done with topics, named as OpenTelemetry names them for messaging. Where nobody collects them there are none. */
import * as Effect from "effect/Effect"
import { isTraced, spanAround } from "../../connection/Telemetry.ts"
import * as Observability from "../../Observability.ts"

/** What is done, and with what: the family's path and the topic's name. */
export interface Described {
  readonly operation: string
  readonly family: string | undefined
  readonly topic: string
}

const attributesOf = ({ family, operation, topic }: Described) => ({
  "messaging.system": "effect-ws.topics",
  "messaging.operation.name": operation,
  "messaging.destination.name": topic,
  ...(family !== undefined && { "messaging.destination.template": family })
})

// Names of topics are many, families few.
const nameOf = ({ family, operation }: Described) => family === undefined ? operation : `${operation} ${family}`

/** What the program does: it publishes, or it asks a server for something. */
export const ofProgram = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  described: () => Described,
  kind: "producer" | "client" = "producer"
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (!isTraced(fiber) || fiber.getRef(Observability.CurrentOptions).span === false) return effect
    const what = described()
    return Effect.withSpan(effect, nameOf(what), { kind, attributes: attributesOf(what) }) as Effect.Effect<A, E, R>
  })

/** What a client asked for: a trace of its own, since the span of its connection may last for days. */
export const ofClient = <A, E>(
  effect: Effect.Effect<A, E>,
  connection: number,
  described: () => Described
): Effect.Effect<A, E> =>
  Effect.withFiber((fiber) => {
    if (!isTraced(fiber) || fiber.getRef(Observability.CurrentOptions).span === false) return effect
    const what = described()
    const around = spanAround(fiber)
    return Effect.withSpan(effect, nameOf(what), {
      kind: "server",
      root: true,
      ...(around !== undefined && { links: [{ span: around, attributes: {} }] }),
      attributes: { ...attributesOf(what), "websocket.connection.id": connection }
    })
  })
