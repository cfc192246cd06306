/**
 * A client of the RPC service on Node: `node examples/rpc/client.ts ws://127.0.0.1:8081/rpc 360 97`.
 * It factors the numbers, then reads three states of the server.
 */
import { NodeSocket } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { Api } from "./Api.ts"

const [url = "ws://127.0.0.1:8081/rpc", ...numbers] = process.argv.slice(2)

// Effect's own RPC client over a socket of this library. It connects again by itself.
const Protocol = RpcClient.layerProtocolSocket().pipe(
  Layer.provide(NodeSocket.layerWebSocket(url)),
  Layer.provide(RpcSerialization.layerNdjson)
)

const program = Effect.gen(function*() {
  const rpc = yield* RpcClient.make(Api)

  for (const n of numbers.length === 0 ? ["360", "1"] : numbers) {
    yield* rpc.Factor({ n: BigInt(n) }).pipe(
      Effect.flatMap((factors) => Console.log(`${n} = ${factors.join(" × ")}`)),
      // A refusal of the service has its own type, apart from failures of the connection.
      Effect.catchTag("NotFactored", (error) => Console.log(`${n}: ${error.reason}`))
    )
  }

  // Ending the stream ends it on the server too.
  yield* rpc.Watch({ everyMillis: 100 }).pipe(
    Stream.take(3),
    Stream.runForEach(({ connections, cpuPercent, heapMiB }) =>
      Console.log(`${connections} open, ${cpuPercent.toFixed(0)} % CPU, ${heapMiB.toFixed(1)} MiB`)
    )
  )
}).pipe(
  Effect.scoped,
  Effect.catchTag("RpcClientError", (error) =>
    Effect.andThen(Console.error(`no answer from ${url}: ${error.message}`), Effect.fail(error)))
)

program.pipe(Effect.provide(Protocol), NodeRuntime.runMain({ disableErrorReporting: true }))
