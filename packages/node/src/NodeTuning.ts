/**
 * What Node and V8 can do beyond their documentation: how to turn it off, how to see what is in use, and what
 * concerns the whole process and is therefore off until a program asks for it.
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
 * Whether the layers of this package use documented interfaces of Node only. Default `false`, or `true` where
 * the process was started with the environment variable `EFFECT_WS_PORTABLE=1`.
 *
 * **Details**
 *
 * It is read where a layer of a server or a client is made. Everything works the same; what it costs is in
 * `docs/undocumented.md`. The environment variable also holds for what is made without a layer, such as
 * `NodeTransport.fromDuplex`.
 *
 * @see {@link layerPortable} for the layer that sets it
 * @category references
 * @since 0.1.0
 */
export const Portable: Context.Reference<boolean> = Transports.Portable

/**
 * Has the layers that it is provided to use documented interfaces of Node only; see {@link Portable}.
 *
 * **Example** (A server by documented interfaces only)
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
 * - `BufferText`: texts are converted by Buffer's methods on any `Uint8Array`.
 * - `ZlibHandle`: permessage-deflate works on contexts that outlive a message.
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
 * To log after an update of Node whether the fast paths still serve.
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
 * On a process whose work is to receive messages of 16 KiB and more. An echo of 1 MiB then takes a third of the
 * time, one of 16 KiB three quarters: V8 counts the memory of messages, and would otherwise mark its whole heap
 * after every 64 MiB of them. 5,000 idle connections take 2 KiB less each.
 *
 * **Gotchas**
 *
 * It concerns the whole process, not only this library. V8's function `gc` is not documented by Node; to have it,
 * the flag `--expose-gc` is set and taken back while the process runs, which Node's documentation warns about. The
 * function is tried first, and where it does not work nothing happens. Programs that keep most of what they
 * receive, or that receive little, are slower with it. With {@link Portable} it does nothing.
 *
 * **Example** (For the server of a whole program)
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
