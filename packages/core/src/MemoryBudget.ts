/**
 * A bound on the bytes that all connections of a process hold together: received and
 * not yet read by the application, sent and not yet taken by the peer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import { MemoryBudget, type Shed } from "./memory/MemoryBudget.ts"
import { budgetKey } from "./memory/ProvidedBudget.ts"
import * as Limits from "./Limits.ts"

export type {
  /**
   * A budget that connections share. `bytes` is what they hold now, in whole pages of 4 KiB
   * each; `isExhausted` says whether reading is paused because of it; `shed` counts the
   * connections that were closed so far.
   *
   * @category models
   * @since 0.1.0
   */
  MemoryBudget,
  /**
   * Which connection to close first: the one that holds most (`"largest"`), or the one that
   * was opened last (`"newest"`).
   *
   * @category models
   * @since 0.1.0
   */
  Shed
} from "./memory/MemoryBudget.ts"

/**
 * How much connections may hold, and what happens above it.
 *
 * **Details**
 *
 * - `bytes`: the most before reading pauses. Default 1 GiB. `Infinity` turns it off.
 * - `grace`: how long reading is paused before connections are closed. Default 2 seconds.
 * - `shed`: which connection to close first. Default `"largest"`.
 * - `processes`: how many processes share `bytes`, on a machine whose cores each run one. Default 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly bytes?: number | undefined
  readonly grace?: Duration.Input | undefined
  readonly shed?: Shed | undefined
  readonly processes?: number | undefined
}

/**
 * Makes a budget. Throws `InvalidArgument` where `processes` is not a whole number from 1 on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): MemoryBudget => {
  const { bytes, grace, shed } = Limits.defaultMemoryBudget
  return new MemoryBudget(
    Limits.share(options.bytes ?? bytes, options.processes),
    options.grace === undefined ? grace : Duration.toMillis(Duration.fromInputUnsafe(options.grace)),
    options.shed ?? shed
  )
}

/**
 * The budget of the connections that are made in this context; by default one for the
 * whole process.
 *
 * **Details**
 *
 * Each connection has its limits, see `Limits.Options`; ten thousand of them together have
 * none. Once they hold `bytes`, connections that hold something stop reading at once, and
 * the others after their next read. TCP then holds the peers back, while the application
 * reads what waits and peers take what was sent. Reading resumes at seven eighths. If that
 * is not reached within `grace`, connections are closed with 1013 until the rest fits; at
 * five fourths of the budget that happens at once. A closed connection whose peer takes
 * nothing more is cut at its close deadline.
 *
 * Whole messages that wait for their reader count, the memory of a message that is being
 * received, and bytes that wait to be sent. What the application keeps of messages does not
 * count, nor do compression contexts, which have a budget of their own
 * (`CompressionBudget`).
 *
 * A client on the platform's own WebSocket (`NativeWebSocketClient`) counts in a budget that is provided
 * ({@link layer}), and not in the default one.
 *
 * **Gotchas**
 *
 * A message larger than the budget can never be received: choose `maxMessageSize` well
 * below it.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentBudget: Context.Reference<MemoryBudget> = Context.Reference<MemoryBudget>(
  budgetKey,
  { defaultValue: () => make() }
)

/**
 * Provides a budget of its own to the connections of a server or a client.
 *
 * **Example** (A server that buffers at most 256 MiB)
 *
 * ```ts
 * import { MemoryBudget, WebSocketServer } from "@effect-ws/core"
 * import { Layer, Stream } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * export const Echo = HttpRouter.add(
 *   "GET",
 *   "/echo",
 *   WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink))
 * ).pipe(Layer.provide(MemoryBudget.layer({ bytes: 256 * 1024 * 1024 })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never> => Layer.sync(CurrentBudget, () => make(options))
