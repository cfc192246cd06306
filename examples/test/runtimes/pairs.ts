/**
 * The pairs that the promises for connections are checked on: who serves, who connects, and what a pair cannot do although
 * its `capabilities` do not say so.
 */
import type { Runtime } from "../../../scripts/runtimes/installed.ts"

export type Browser = "chromium" | "firefox"

export interface Pair {
  readonly name: string
  /** Who serves `programs.ts`: the runtime, and its server. `memory`: both in this process, without a socket. */
  readonly server: { readonly on: "node" | Runtime; readonly by: "node" | "tls" | "bun" | "deno" | "workerd" } | "memory"
  /** Who connects: the runtime, and the layer of its client. */
  readonly client:
    | { readonly on: "node" | Runtime; readonly by: "node" | "tls" | "native" }
    | { readonly on: Browser; readonly by: "events" | "stream" }
    | "memory"
  /** Promises that are broken, and why. A broken promise that is not named here fails, and so does one that is kept. */
  readonly broken?: Readonly<Record<string, string>>
}

const ours = { on: "node", by: "node" } as const

const bunNeedsCode = {
  "closing: a Close without a code is 1005 for the client": "Bun's server sends 1000 where no code is given"
}

export const pairs: ReadonlyArray<Pair> = [
  { name: "in memory", server: "memory", client: "memory" },
  { name: "HTTP/1.1", server: ours, client: ours },
  { name: "TLS", server: { on: "node", by: "tls" }, client: { on: "node", by: "tls" } },
  {
    name: "Node's own client",
    server: ours,
    client: { on: "node", by: "native" },
    broken: { "order: a byte order mark stays": "Node's own `WebSocket` removes one from the start of a text" }
  },
  { name: "Chromium's WebSocket", server: ours, client: { on: "chromium", by: "events" } },
  {
    name: "Chromium's WebSocketStream",
    server: ours,
    client: { on: "chromium", by: "stream" },
    broken: {
      "closing: what the server sent before its Close is read before the end":
        "Chromium drops what a `WebSocketStream` has not read when the Close arrives"
    }
  },
  { name: "Firefox's WebSocket", server: ours, client: { on: "firefox", by: "events" } },
  { name: "our client and server on Bun", server: { on: "bun", by: "node" }, client: { on: "bun", by: "node" } },
  { name: "our client and server on Deno", server: { on: "deno", by: "node" }, client: { on: "deno", by: "node" } },
  { name: "Bun's own client", server: ours, client: { on: "bun", by: "native" } },
  { name: "Bun's own server", server: { on: "bun", by: "bun" }, client: ours, broken: bunNeedsCode },
  { name: "Bun's own client and server", server: { on: "bun", by: "bun" }, client: { on: "bun", by: "native" }, broken: bunNeedsCode },
  { name: "Deno's own client", server: ours, client: { on: "deno", by: "native" } },
  { name: "Deno's own server", server: { on: "deno", by: "deno" }, client: ours },
  { name: "Deno's own client and server", server: { on: "deno", by: "deno" }, client: { on: "deno", by: "native" } },
  { name: "workerd's own client", server: ours, client: { on: "workerd", by: "native" } },
  { name: "workerd's own server", server: { on: "workerd", by: "workerd" }, client: ours }
]
