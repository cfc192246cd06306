/**
 * An echo server on all cores: one process for each, on one port. The first process starts the others, replaces those that
 * end by themselves, and ends them with itself.
 *
 * Environment:
 * - PORT: default 9003; 0 picks a free one
 * - HOST: default 127.0.0.1
 * - WORKERS: how many processes serve; default one for each core
 * - MAX_CONNECTIONS: the most connections of all workers together; default the library's
 * - REUSE_PORT: true lets the system spread connections over the workers (Linux, from Node 23.1 on; PORT must not be 0);
 *   default, and anything else: the first process hands them out in turn
 * - ROUNDS: each message is hashed so often before it is sent back, which gives the cores something to do; default 0
 */
import { CompressionBudget, Limits, MemoryBudget, type Message, type WebSocket, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Schedule, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import cluster, { type Worker } from "node:cluster"
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import { availableParallelism } from "node:os"

const WorkerCount = Config.Int("WORKERS").pipe(Config.withDefault(availableParallelism()))

// ---------------------------------------------------------------------------
// a worker: the server, as it would be in one process
// ---------------------------------------------------------------------------

const busy = (rounds: number) => (message: Message.Message) => {
  let hash: string | Uint8Array = message
  for (let round = 0; round < rounds; round++) hash = createHash("sha256").update(hash).digest()
  return message
}

const Echo = Layer.unwrap(Effect.gen(function*() {
  const rounds = yield* Config.Int("ROUNDS").pipe(Config.withDefault(0))
  const echo = (ws: WebSocket.WebSocket) => Stream.run(Stream.map(ws.messages, busy(rounds)), ws.sink)
  // Says which process serves a connection.
  const headers = { "x-worker": String(process.pid) }
  return HttpRouter.add("GET", "/", WebSocketServer.handle(echo, { headers }))
}))

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(9003))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  const maxConnections = yield* Config.Int("MAX_CONNECTIONS").pipe(Config.withDefault(Limits.defaultMaxConnections))
  const reusePort = yield* Config.Boolean("REUSE_PORT").pipe(Config.withDefault(false))
  const processes = yield* WorkerCount
  // Everything is counted in its process: each worker takes its part.
  return NodeHttpServer.layer(createServer, { port, host, reusePort, maxConnections, processes }).pipe(
    Layer.merge(MemoryBudget.layer({ processes })),
    Layer.merge(CompressionBudget.layer({ processes }))
  )
}))

// The first process prints the address once all workers listen.
const Announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((url) => Effect.sync(() => process.send?.(url.replace("http", "ws"))))
)

const Serving = Announce.pipe(
  Layer.provideMerge(HttpRouter.serve(Echo, { disableLogger: true, disableListenLog: true })),
  Layer.provide(Server)
)

// ---------------------------------------------------------------------------
// the first process
// ---------------------------------------------------------------------------

const exited = (worker: Worker) =>
  Effect.callback<string>((resume) => {
    const describe = () => worker.process.signalCode ?? worker.process.exitCode
    const settle = () => resume(Effect.succeed(String(describe())))
    if (describe() !== null) settle()
    else worker.once("exit", settle)
  })

// SIGTERM lets a worker close its connections with 1001. One that is stuck is ended all the same.
const stop = (worker: Worker) =>
  Effect.sync(() => worker.process.kill("SIGTERM")).pipe(
    Effect.andThen(exited(worker)),
    Effect.timeoutOrElse({
      duration: "30 seconds",
      orElse: () => Effect.sync(() => worker.process.kill("SIGKILL"))
    })
  )

const runWorker = (onListening: (url: string) => void) =>
  Effect.acquireUseRelease(
    Effect.sync(() => cluster.fork()),
    (worker) => Effect.andThen(Effect.sync(() => worker.once("message", onListening)), exited(worker)),
    stop
  )

// A worker that ends at once, as where the port is taken, is not started again and again without a pause.
const keepWorker = (onListening: (url: string) => void) =>
  runWorker(onListening).pipe(
    Effect.tap((exit) => Console.error(`a worker ended (${exit}); another one takes its place`)),
    Effect.repeat(Schedule.spaced("500 millis"))
  )

const Supervising = Effect.gen(function*() {
  const count = yield* WorkerCount
  let listening = 0
  const onListening = (url: string) => {
    if (++listening === count) console.log(`listening on ${url}`)
  }
  yield* Effect.forEach(Array.from({ length: count }), () => keepWorker(onListening), { concurrency: "unbounded", discard: true })
})

NodeRuntime.runMain(cluster.isPrimary ? Supervising : Layer.launch(Serving))
