/**
 * Undocumented interfaces of Node and V8: how to turn them off, how to see which are in use, and those that
 * concern the whole process and are therefore off by default.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HandleCodec from "./deflate/HandleCodec.ts"
import * as Transports from "./transport/Transports.ts"
import * as BufferText from "./undocumented/BufferText.ts"
import * as SharedReads from "./undocumented/SharedReads.ts"
import * as SocketHandle from "./undocumented/SocketHandle.ts"
import * as SocketProbe from "./undocumented/SocketProbe.ts"
import * as YoungCollections from "./undocumented/YoungCollections.ts"

/**
 * Whether the layers of this package use documented interfaces of Node only. Default `false`, or `true` if the
 * process was started with the environment variable `EFFECT_WS_PORTABLE=1`.
 *
 * **Details**
 *
 * It is read when a layer of a server or a client is built. Everything works the same; `docs/undocumented.md`
 * says what it costs. The environment variable also applies where there is no layer, as with
 * `NodeTransport.fromDuplex`.
 *
 * @see {@link layerPortable} for the layer that sets it
 * @category references
 * @since 0.1.0
 */
export const Portable: Context.Reference<boolean> = Transports.Portable

/**
 * Makes the layers that it is provided to use documented interfaces of Node only; see {@link Portable}.
 *
 * **Example** (A server on documented interfaces only)
 *
 * ```ts
 * import { NodeTuning, NodeWebSocketServer } from "@effect-ws/node"
 * import { Layer, Stream } from "effect"
 *
 * export const Echo = NodeWebSocketServer.layer((ws) => Stream.run(ws.messages, ws.sink), { port: 9001 }).pipe(
 *   Layer.provide(NodeTuning.layerPortable)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPortable: Layer.Layer<never> = Layer.succeed(Portable, true)

/**
 * An interface that Node or V8 does not document, and whether it is in use.
 *
 * **Details**
 *
 * - `SocketHandle`: plain connections read and write the handle of their socket.
 * - `SharedReads`: TLS connections read into one buffer.
 * - `BufferText`: Buffer's methods convert texts on any `Uint8Array`.
 * - `ZlibHandle`: permessage-deflate uses contexts that outlive a message.
 * - `YoungCollections`: V8 is asked to collect young messages; see {@link layerYoungCollections}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Undocumented {
  readonly name: "SocketHandle" | "SharedReads" | "BufferText" | "ZlibHandle" | "YoungCollections"
  readonly isActive: boolean
}

/**
 * The undocumented interfaces, each tried once in this process, and which of them work here.
 *
 * **When to use**
 *
 * To log after an update of Node whether the fast paths still work.
 *
 * @category getters
 * @since 0.1.0
 */
export const undocumented: Effect.Effect<ReadonlyArray<Undocumented>> = Effect.gen(function*() {
  const isPortable = yield* Portable
  if (!isPortable) yield* Effect.promise(SocketProbe.whenTried)
  const active = (name: Undocumented["name"], works: boolean): Undocumented => ({ name, isActive: works && !isPortable })
  return [
    active("SocketHandle", SocketHandle.isEnabled()),
    active("SharedReads", SharedReads.isEnabled()),
    active("BufferText", BufferText.primitives !== undefined),
    active("ZlibHandle", HandleCodec.isSupported()),
    active("YoungCollections", YoungCollections.isEnabled())
  ]
})

/**
 * Asks V8 to collect its young generation after each 4 MiB of messages, and while a server gains connections.
 *
 * **When to use**
 *
 * In a process that mainly receives messages of 16 KiB and more. An echo of 1 MiB then takes a third of the
 * time, one of 16 KiB six tenths: V8 counts the memory of messages and would otherwise mark its whole heap
 * after every 64 MiB of them. `WebSocket.relay`, which uses the memory of its messages again, gains nothing.
 * 5,000 idle connections take 2 KiB less each.
 *
 * **Gotchas**
 *
 * It affects the whole process, not only this library. Node does not document V8's function `gc`; to get it, the
 * flag `--expose-gc` is set and reset while the process runs, which Node's documentation warns about. The function
 * is tried first, and if it does not work nothing happens. Programs that keep most of what they receive, or that
 * receive little, are slower with it. With {@link Portable} it does nothing.
 *
 * **Example** (In a server)
 *
 * ```ts
 * import { NodeTuning, NodeWebSocketServer } from "@effect-ws/node"
 * import { Layer, Stream } from "effect"
 *
 * export const Echo = NodeWebSocketServer.layer((ws) => Stream.run(ws.messages, ws.sink), { port: 9001 }).pipe(
 *   Layer.provide(NodeTuning.layerYoungCollections)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerYoungCollections: Layer.Layer<never> = Layer.effectDiscard(
  Effect.flatMap(Portable, (isPortable) =>
    isPortable
      ? Effect.void
      : Effect.acquireRelease(Effect.sync(YoungCollections.enable), (disable) => Effect.sync(disable)))
)
