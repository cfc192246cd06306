/** A process of a soak's connections: they talk to the server, and now and then to servers that misbehave. */
import { WebSocketClient } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Histogram } from "./histogram.ts"
import { collect, countFibers, holdings, waitedMicros } from "./holdings.ts"
import { type Accepted, type ClientReport, type ClientTask, latencies, type Session } from "./messages.ts"
import { misbehaviours } from "./misbehaviours.ts"
import { makePace, Room } from "./pace.ts"
import { answer } from "./processes.ts"
import { type Plan, session, type Talk } from "./session.ts"
import { between, makeRandom, pick } from "./traffic.ts"
import { uploads } from "./uploads.ts"

// So many handshakes are under way at once.
const connecting = new Room(64)
const idleLife = 600_000

const histograms = Object.fromEntries(latencies.map((name) => [name, new Histogram()]))
const totals = { open: 0, sent: 0, sentBytes: 0, received: 0, receivedBytes: 0, pings: 0 }
let kinds: Record<string, number> = {}
let ways: Record<string, number> = {}
let faults: Record<string, number> = {}
let sessions: Array<Session> = []
let accepted: Array<Accepted> = []
let problems: Array<string> = []
let round = 0

const increment = (counts: Record<string, number>, name: string): void => {
  counts[name] = (counts[name] ?? 0) + 1
}

const stopping = Latch.makeUnsafe(false)
let stops = false
const isStopping = () => stops

const makeTalk = (task: ClientTask): Talk => ({
  url: task.url,
  inFlight: task.inFlight,
  patience: task.patience,
  idleInterval: task.idleInterval,
  stopping,
  isStopping,
  pace: makePace(task.rate, task.bytesPerSecond),
  room: new Room(task.inFlightBytes),
  opened: Effect.sync(() => {
    totals.open++
  }),
  sent: (kind, bytes) => {
    totals.sent++
    totals.sentBytes += bytes
    increment(kinds, kind)
  },
  received: (bytes) => {
    totals.received++
    totals.receivedBytes += bytes
  },
  took: (latency, millis) => {
    if (latency === "ping") totals.pings++
    histograms[latency]!.record(millis)
  },
  ended: (way, one) => {
    if (one.problem === undefined) increment(ways, way)
    sessions.push(one)
  }
})

/** A connection and those that follow it, until all stop. */
const chain = (talk: Talk, task: ClientTask, number: number) =>
  Effect.gen(function*() {
    const random = makeRandom(task.seed + number)
    const isBusy = number - task.first < task.busy
    for (let epoch = 0; !isStopping(); epoch++) {
      const style: Plan["style"] = !isBusy ? "idle" : pick(random, [[8, "messages"], [1, "streams"]] as const)
      const life = isBusy ? between(random, 500, 60_000) : idleLife * (0.5 + random())
      const compression = random() < (isBusy ? 0.25 : 0.1)
      let open = false
      yield* connecting.take(1)
      const opened = Effect.suspend(() => {
        open = true
        connecting.give(1)
        return talk.opened
      })
      yield* session({ ...talk, opened }, { number, epoch, style, life, compression, seed: task.seed })
      if (open) totals.open--
      else {
        connecting.give(1)
        // Whatever the reason was, not again at once.
        yield* Effect.sleep("1 second")
      }
    }
  })

const describeEnd = (exit: Exit.Exit<unknown, { readonly _tag: string; readonly phase?: string; readonly reason?: unknown }>): string => {
  if (Exit.isSuccess(exit)) return "ended"
  const error = Cause.findErrorOption(exit.cause)
  if (error._tag === "None") return `DEFECT ${Cause.pretty(exit.cause)}`
  return [error.value._tag, error.value.phase, error.value.reason].filter((word) => typeof word === "string").join(" ")
}

/** Visits a server that misbehaves; whatever it does must end in time, as something typed. */
const visit = (url: string, name: string) =>
  Effect.gen(function*() {
    const limits = { handshakeTimeout: 1000, closeTimeout: 1000, stalledWriteTimeout: 1000, keepAlive: { interval: 1000, timeout: 1000 } }
    const exit = yield* WebSocketClient.connect(`${url}/${name}`, limits).pipe(
      Effect.flatMap((ws) => Effect.andThen(Effect.ignore(ws.send("hello")), Stream.runDrain(ws.messages))),
      Effect.scoped,
      Effect.exit,
      Effect.timeoutOption("3 minutes")
    )
    increment(faults, `${name}: ${exit._tag === "None" ? "STUCK" : describeEnd(exit.value)}`)
  })

const visits = (url: string, perSecond: number, seed: number) =>
  Effect.gen(function*() {
    const random = makeRandom(seed)
    const names = Object.keys(misbehaviours)
    const under: Set<Fiber.Fiber<void>> = new Set()
    while (!isStopping()) {
      yield* Effect.raceFirst(Effect.sleep(1000 / perSecond), stopping.await)
      const fiber = yield* Effect.forkChild(visit(url, names[between(random, 0, names.length - 1)]!))
      under.add(fiber)
      fiber.addObserver(() => under.delete(fiber))
    }
    yield* Fiber.awaitAll(under)
  })

/** Those that send to slow peers. */
const senders = (task: ClientTask) => {
  round++
  const urls = { raw: task.slowUrl, ours: task.url }
  const record = (one: Accepted) => void accepted.push(one)
  const problem = (what: string) => void problems.push(what)
  const numbers = Array.from({ length: task.uploads }, (_, i) => task.first + i)
  return Effect.forEach(
    numbers,
    (number) => uploads({ urls, bytes: task.slowBytes, seed: task.seed + number, isStopping, record, problem }, `upload${round}.${number}`),
    { concurrency: "unbounded", discard: true }
  )
}

const program = Effect.gen(function*() {
  const runPromise = Effect.runPromiseWith(yield* Effect.context<WebSocketClient.Connector>())
  let running: Promise<unknown> | undefined
  answer({
    start: (task: ClientTask) => {
      stops = false
      stopping.closeUnsafe()
      Object.assign(totals, { open: 0, sent: 0, sentBytes: 0, received: 0, receivedBytes: 0, pings: 0 })
      kinds = {}
      ways = {}
      faults = {}
      const talk = makeTalk(task)
      const numbers = Array.from({ length: task.connections }, (_, i) => task.first + i)
      const all = [
        Effect.forEach(numbers, (number) => chain(talk, task, number), { concurrency: "unbounded", discard: true }),
        task.faultsUrl === undefined ? Effect.void : visits(task.faultsUrl, task.faults, task.seed),
        senders(task)
      ]
      running = runPromise(Effect.all(all, { concurrency: "unbounded", discard: true }))
      // `stop` reports it.
      running.catch(() => {})
    },
    stop: async () => {
      stops = true
      stopping.openUnsafe()
      await running
    },
    report: (): ClientReport => {
      const { system, user } = process.cpuUsage()
      const report = {
        ...totals,
        kinds,
        ways,
        faults,
        sessions,
        accepted,
        problems,
        cpuMicros: user + system,
        waitedMicros: waitedMicros(),
        holdings: holdings(),
        latencies: Object.fromEntries(latencies.map((name) => [name, histograms[name]!.take()])) as ClientReport["latencies"]
      }
      sessions = []
      accepted = []
      problems = []
      return report
    },
    collect: () => collect().then(holdings)
  })
  return yield* Effect.never
})

program.pipe(
  Effect.provide(Layer.provideMerge(NodeWebSocketClient.layer, countFibers)),
  NodeRuntime.runMain
)
