/** The server of a soak: it checks and counts what it receives, and sends it back. */
import { type Message, type WebSocket, type WebSocketError, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import { patient, problemOf } from "./connections.ts"
import { collect, countFibers, holdings, waitedMicros } from "./holdings.ts"
import { Ledger } from "./ledger.ts"
import { makeLives } from "./lives.ts"
import type { Account, ServerReport } from "./messages.ts"
import { check, Checker, type Verdict } from "./payload.ts"
import { answer } from "./processes.ts"

export interface Behaviour {
  /** What is sent back for a batch on the connection of that key; a server that is well sends what came. */
  readonly echo: (batch: ReadonlyArray<Message.Message>, key: string) => ReadonlyArray<Message.Message>
}

/** Runs the server until its process is ended. */
export const run = (behaviour: Behaviour): void => {
  let open = 0
  let accounts: Array<Account> = []
  // The library's own deadlines: guests are slow, but make progress.
  const lives = makeLives({})

  const note = (ledger: Ledger, verdict: Verdict, size: number): boolean => {
    if (verdict._tag === "Empty") ledger.takeNext(size)
    else if (verdict._tag === "Corrupt") ledger.takeCorrupt(size)
    else ledger.take(verdict.seq, size)
    return verdict._tag === "Intact" && verdict.command === "c"
  }

  const closeAsAsked = (ws: WebSocket.WebSocket) => ws.close(4000, "as you asked")

  const echoMessages = (ws: WebSocket.WebSocket, key: string, ledger: Ledger) =>
    Stream.runForEach(ws.batches, (batch) => {
      let asked = false
      for (const message of batch) asked = note(ledger, check(key, message), message.length) || asked
      const echoed = ws.sendAll(behaviour.echo(batch, key))
      return asked ? Effect.andThen(echoed, closeAsAsked(ws)) : echoed
    })

  const echoStreams = (ws: WebSocket.WebSocket, key: string, ledger: Ledger) =>
    Effect.forever(Effect.flatMap(ws.receiveStream, (message) => {
      const checker = new Checker(key, message._tag === "Text")
      const echoed = message._tag === "Text"
        ? ws.sendTextStream(Stream.tap(message.fragments, (piece) => Effect.sync(() => checker.push(piece))))
        : ws.sendBinaryStream(Stream.tap(message.fragments, (piece) => Effect.sync(() => checker.push(piece))))
      return Effect.flatMap(echoed, () => note(ledger, checker.end(), checker.length) ? closeAsAsked(ws) : Effect.void)
    }))

  const soaked = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const parameters = new URL(request.url, "http://localhost").searchParams
    const key = parameters.get("key") ?? ""
    const echo = parameters.get("style") === "streams" ? echoStreams : echoMessages
    return WebSocketServer.handle((ws) =>
      Effect.suspend(() => {
        open++
        const ledger = new Ledger()
        const talk = Effect.onExit(echo(ws, key, ledger), (exit) =>
          Effect.sync(() => {
            open--
            accounts.push({ key, counts: ledger.counts(), next: ledger.expected, end: problemOf(exit) ?? "" })
          }))
        return lives.counted("talk", "", talk)
      }), { compression: true, ...patient })
  })

  // For peers that misbehave: deadlines that come within the soak.
  const strict: WebSocketServer.AcceptOptions = {
    compression: true,
    closeTimeout: "1 second",
    stalledWriteTimeout: "1500 millis",
    keepAlive: { interval: "1500 millis", timeout: "1500 millis" }
  }
  const fault = (handler: (ws: WebSocket.WebSocket) => Effect.Effect<unknown, WebSocketServer.ConnectionError | WebSocketError.InvalidArgument>, options = strict) =>
    WebSocketServer.handle((ws) => lives.counted("fault", "", handler(ws)), options)
  const echo = (options: WebSocketServer.AcceptOptions) => fault((ws) => Stream.run(ws.messages, ws.sink), options)
  const piece = new Uint8Array(2 ** 18)
  const routes = () =>
    Layer.mergeAll(
      HttpRouter.add("GET", "/soak", soaked),
      HttpRouter.add("GET", "/fault/echo", echo({ ...strict, keepAlive: undefined })),
      HttpRouter.add("GET", "/fault/strict", echo(strict)),
      HttpRouter.add("GET", "/fault/slow", Effect.andThen(Effect.sleep(5), echo(strict))),
      HttpRouter.add("GET", "/fault/closing", fault((ws) => ws.close(4000))),
      HttpRouter.add("GET", "/fault/flood", fault((ws) => Effect.forever(ws.send(piece)))),
      lives.routes()
    )

  const nodes: Array<Http.Server> = []
  const listen = Effect.gen(function*() {
    const node = Http.createServer()
    nodes.push(node)
    // Each has a layer of its own: one that is built twice would be shared.
    const layer = HttpRouter.serve(routes(), { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(() => node, { host: "127.0.0.1", port: 0, headersTimeout: patient.handshakeTimeout }))
    )
    const { address } = Context.get(yield* Layer.build(layer), HttpServer.HttpServer)
    return "port" in address ? Number(address.port) : 0
  })

  const sockets = (): Promise<number> =>
    Promise.all(nodes.map((node) => new Promise<number>((resolve) => node.getConnections((_, count) => resolve(count)))))
      .then((counts) => counts.reduce((sum, count) => sum + count, 0))

  const program = Effect.gen(function*() {
    const ports = yield* Effect.replicateEffect(listen, Number(process.env["SOAK_LISTENERS"] ?? "1"))
    answer({
      ports: () => ports,
      report: async (): Promise<ServerReport> => {
        const { system, user } = process.cpuUsage()
        const report = { cpuMicros: user + system, waitedMicros: waitedMicros(), holdings: holdings(), sockets: await sockets(), open, accounts, handlers: lives.counts(), ...lives.take() }
        accounts = []
        return report
      },
      collect: () => collect().then(holdings)
    })
    return yield* Effect.never
  })

  program.pipe(Effect.scoped, Effect.provide(countFibers), NodeRuntime.runMain)
}
