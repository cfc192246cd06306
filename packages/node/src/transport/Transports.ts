/** Chooses the transport of a connection: by everything that works on this Node, or by documented interfaces only. */
import type { Primitives, Transport } from "@effect-ws/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Duplex } from "node:stream"
import * as SocketProbe from "../undocumented/SocketProbe.ts"
import * as Switch from "../undocumented/Switch.ts"
import * as UpgradedResponse from "../undocumented/UpgradedResponse.ts"
import * as DuplexTransport from "./DuplexTransport.ts"
import * as HandleTransport from "./HandleTransport.ts"
import * as SystemPrimitives from "./SystemPrimitives.ts"

/** Whether layers use documented interfaces only; see `NodeTuning.Portable`. */
export const Portable: Context.Reference<boolean> = Context.Reference<boolean>("@effect-ws/node/NodeTuning/Portable", {
  defaultValue: () => Switch.isPortable
})

/** The transports of a layer. */
export interface Transports {
  readonly isPortable: boolean
  /** Completes once it is known what works here. Until then connections use documented interfaces. */
  readonly ready: Effect.Effect<void>
  readonly primitives: Primitives.Primitives
  /**
   * The transport of a connection that nothing else reads or writes any more. `early` are bytes that were read
   * before, `head` is Latin-1 to write first.
   */
  readonly make: (duplex: Duplex, early?: Uint8Array, head?: string) => Transport.Transport
  /** The transport of an `HttpClient`'s 101 answer; `undefined` where its `Socket` must be used. */
  readonly ofResponse: (response: object) => Transport.Transport | undefined
}

const { documented, primitives } = SystemPrimitives

const portable: Transports = {
  isPortable: true,
  ready: Effect.void,
  primitives: documented,
  make: (duplex, early, head) => {
    if (head !== undefined) duplex.write(head, "latin1")
    return DuplexTransport.make(duplex, early, { primitives: documented, isShared: false })
  },
  ofResponse: () => undefined
}

const make: Transports["make"] = (duplex, early, head) => {
  const taken = HandleTransport.take(duplex, early, head)
  if (taken !== undefined) return taken
  if (head !== undefined) duplex.write(head, "latin1")
  return DuplexTransport.make(duplex, early, { primitives, isShared: true })
}

const fast: Transports = {
  isPortable: false,
  ready: Effect.promise(SocketProbe.whenTried),
  primitives,
  make,
  ofResponse: (response) => {
    const upgraded = UpgradedResponse.find(response)
    return upgraded === undefined ? undefined : make(upgraded.duplex, upgraded.early)
  }
}

/** The transports of a layer that is being built. The trials of what works here begin now. */
export const current: Effect.Effect<Transports> = Effect.map(Portable, (isPortable) => {
  if (isPortable) return portable
  void SocketProbe.whenTried()
  return fast
})
