/** Our layers and the stock ones under the same names, for programs that run on both. */
import * as Ours from "@effect-ws/node"
import * as StockClusterHttp from "@effect/platform-node/NodeClusterHttp"
import * as StockHttpServer from "@effect/platform-node/NodeHttpServer"
import * as StockSocket from "@effect/platform-node/NodeSocket"
import * as StockSocketServer from "@effect/platform-node/NodeSocketServer"
import type * as NetAddress from "effect/net/NetAddress"

export const stock = {
  NodeClusterHttp: StockClusterHttp,
  NodeHttpServer: StockHttpServer,
  NodeSocket: StockSocket,
  NodeSocketServer: StockSocketServer
}

export const ours = {
  NodeClusterHttp: Ours.NodeClusterHttp,
  NodeHttpServer: Ours.NodeHttpServer,
  NodeSocket: Ours.NodeSocket,
  NodeSocketServer: Ours.NodeSocketServer
}

export const sets = { ours, stock }

export const listen = { host: "127.0.0.1", port: 0 }

export const portOf = ({ address }: { readonly address: NetAddress.SocketAddress }): number =>
  "port" in address && typeof address.port === "number" ? address.port : 0
