/** Which transport a connection gets: before it is known what works here, afterwards, and by documented interfaces only. */
import { assert, describe, it } from "@effect/vitest"
import { NodeTuning } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import { PassThrough } from "node:stream"
import { documented, primitives } from "../../src/transport/SystemPrimitives.ts"
import * as Transports from "../../src/transport/Transports.ts"
import * as SocketHandle from "../../src/undocumented/SocketHandle.ts"
import { isPortable } from "../../src/undocumented/Switch.ts"
import { until } from "../support/RawPeer.ts"
import { Seen, sockets } from "../support/TransportPromises.ts"

/** How chunks are handed over shows how they are read. */
const chunksOf = (transports: Transports.Transports) =>
  Effect.gen(function*() {
    const { peer, socket } = yield* sockets
    const transport = transports.make(socket, new TextEncoder().encode("early "), "head ")
    const seen = new Seen()
    transport.start(seen)
    peer.write("late")
    yield* until("the bytes", () => seen.text === "early late")
    yield* until("the head", () => peer.text === "head ")
    assert.strictEqual(transport.primitives, transports.primitives)
    transport.destroy()
    return transport.chunks
  })

describe("Transports", () => {
  it.live("connections are served by documented interfaces until it is known what works, and then by that", () =>
    Effect.gen(function*() {
      if (isPortable) return
      assert.isFalse(SocketHandle.isEnabled())
      const transports = yield* Transports.current
      const { socket } = yield* sockets
      assert.strictEqual(transports.make(socket).chunks, "owned")
      // Nobody waits for it.
      yield* until("the trial", SocketHandle.isEnabled)
      yield* transports.ready
      assert.strictEqual(yield* chunksOf(transports), "scratch")
      assert.strictEqual(transports.primitives, primitives)
    }))

  it.live("with documented interfaces only nothing else is used", () =>
    Effect.gen(function*() {
      const transports = yield* Effect.provide(Transports.current, NodeTuning.layerPortable)
      yield* transports.ready
      assert.isTrue(transports.isPortable)
      assert.strictEqual(yield* chunksOf(transports), "owned")
      assert.strictEqual(transports.primitives, documented)
      assert.isUndefined(transports.ofResponse({ upgraded: new PassThrough() }))
    }))

  it.live("the connection behind a client's answer is taken over", () =>
    Effect.gen(function*() {
      if (isPortable) return
      const transports = yield* Transports.current
      yield* transports.ready
      const { peer, socket } = yield* sockets
      const transport = transports.ofResponse({ source: { upgraded: socket } })
      assert.strictEqual(transport?.chunks, "scratch")
      transport?.destroy()
      yield* peer.untilEnded
      assert.isUndefined(transports.ofResponse({}))
    }))
})
