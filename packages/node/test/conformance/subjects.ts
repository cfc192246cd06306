/** The subjects of `Conformance.test.ts`: an echo server and an echo client of this library. */
import { WebSocketClient } from "@effect-ws/core"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import type { ClientSubject, ServerSubject } from "../../src/conformance/Runner.ts"

export interface Subjects {
  /** Listens on 127.0.0.1, any path; 16 MiB a message, 65,536 fragments; no extension. */
  readonly server: ServerSubject
  /** One connection a call; the same limits; the promise ends when the connection is closed. */
  readonly client: ClientSubject
  readonly close: () => Promise<void>
}

// The default of 131,072 fragments is above what any case sends. A long case would meet our own Pings.
const limits = { maxMessageSize: 16 * 1024 * 1024, keepAlive: false } as const

const open = async (compression: false | { readonly threshold: number }): Promise<Subjects> => {
  const Echo = NodeWebSocketServer.layer((ws) => Stream.run(ws.messages, ws.sink), {
    host: "127.0.0.1",
    port: 0,
    compression,
    ...limits
  })
  const echo = (url: string) =>
    Effect.scoped(Effect.gen(function*() {
      const ws = yield* WebSocketClient.connect(url, { compression, ...limits })
      yield* Stream.run(ws.messages, ws.sink)
    }))
  const runtime = ManagedRuntime.make(Layer.merge(Echo, NodeWebSocketClient.layer))
  const url = await runtime.runPromise(HttpServer.addressFormattedWith((url) => Effect.succeed(url)))
  return {
    server: { url: `${url.replace("http:", "ws:")}/` },
    client: { connect: (url) => runtime.runPromise(echo(url)) },
    close: () => runtime.dispose()
  }
}

/** Without extensions, as groups 1 to 10 want it. */
export const openSubjects = (): Promise<Subjects> => open(false)

/** With permessage-deflate for messages of every size, as groups 12, 13 and D want it. */
export const openCompressionSubjects = (): Promise<Subjects> => open({ threshold: 0 })
