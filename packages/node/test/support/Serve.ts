/**
 * Servers for tests, on ports that the system picks, and what they logged.
 */
import { type NodeHttpServer as Server, NodeHttpServer } from "@effect-ws/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Http from "node:http"
import type * as Net from "node:net"

export interface ServeOptions extends Omit<Server.Options, "port"> {
  readonly evaluate?: (() => Server.NodeServer) | undefined
  /** Effect's own request logger, which reports what a route failed with. */
  readonly logger?: boolean | undefined
}

/** Serves routes until the scope ends. */
export const serve = <A, E, R>(
  routes: Layer.Layer<A, E, R>,
  { evaluate = () => Http.createServer(), logger = false, ...options }: ServeOptions = {}
) =>
  Effect.gen(function*() {
    let node: Server.NodeServer | undefined
    const make = () => node = evaluate()
    const layer = HttpRouter.serve(routes, { disableListenLog: true, disableLogger: !logger }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(make, { host: "127.0.0.1", ...options, port: 0 }))
    )
    const context = yield* Layer.build(layer)
    return { port: portOf(Context.get(context, HttpServer.HttpServer)), node: node! }
  })

export const portOf = (server: HttpServer.HttpServer["Service"]): number => {
  const { address } = server
  return "port" in address && typeof address.port === "number" ? address.port : 0
}

/** Connections of a Node server that are open, upgraded ones among them. */
export const openSockets = (node: Net.Server): Effect.Effect<number> =>
  Effect.callback((resume) => {
    node.getConnections((_, count) => resume(Effect.succeed(count)))
  })

export interface Logged {
  readonly level: string
  readonly text: string
}

/** A layer that keeps what is logged, from Trace on. */
export const keepLogs = (into: Array<Logged>) =>
  Layer.mergeAll(
    Logger.layer([
      Logger.make(({ cause, logLevel, message }) => {
        into.push({ level: logLevel, text: `${String(message)} ${cause.toString()}` })
      })
    ]),
    Layer.succeed(References.MinimumLogLevel, "Trace")
  )
