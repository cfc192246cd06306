/** What the server does for each call. */
import { Observability } from "@effect-ws/core"
import { Clock, Effect, Metric, Schedule, Stream } from "effect"
import { Api, NotFactored, Vitals } from "./Api.ts"

// Trial division up to a million factors every number below its square.
const largest = 1_000_000n ** 2n

const factor = (n: bigint): ReadonlyArray<bigint> => {
  const factors: Array<bigint> = []
  let rest = n
  for (let d = 2n; d * d <= rest; d += d === 2n ? 1n : 2n) {
    while (rest % d === 0n) {
      factors.push(d)
      rest /= d
    }
  }
  return rest > 1n ? [...factors, rest] : factors
}

const vitals = Effect.fnUntraced(function*(before: { at: number; usage: NodeJS.CpuUsage }) {
  const at = yield* Clock.currentTimeMillis
  const usage = process.cpuUsage()
  const micros = usage.user + usage.system - before.usage.user - before.usage.system
  const { value } = yield* Metric.value(Observability.metrics.server.activeConnections)
  const sample = new Vitals({
    at,
    cpuPercent: at === before.at ? 0 : micros / 10 / (at - before.at),
    heapMiB: process.memoryUsage().heapUsed / 2 ** 20,
    connections: value
  })
  return [{ at, usage }, [sample]] as const
})

export const Handlers = Api.toLayer({
  Factor: ({ n }) =>
    n < 2n
      ? Effect.fail(new NotFactored({ reason: "Only whole numbers from 2 on have prime factors." }))
      : n > largest
      ? Effect.fail(new NotFactored({ reason: "That is too large to be taken apart here: 10¹² is the most." }))
      : Effect.sync(() => factor(n)),
  // Calls wait for a slow client: their backpressure is that of the WebSocket.
  Watch: ({ everyMillis }) =>
    Stream.fromSchedule(Schedule.spaced(everyMillis)).pipe(
      Stream.mapAccumEffect(() => ({ at: Date.now(), usage: process.cpuUsage() }), vitals)
    )
})
