/**
 * The page: Effect's RPC client over the browser's own WebSocket, which comes back. Whatever comes from the
 * network is put into the page as text, never as HTML.
 */
import { EffectSocket, NativeWebSocketClient } from "@effect-ws/core"
import { Effect, Fiber, Layer, Schedule, Stream } from "effect"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { Api, type Vitals } from "../Api.ts"

const element = <E extends Element>(selector: string): E => {
  const found = document.querySelector<E>(selector)
  if (found === null) throw new Error(`The page has no ${selector}`)
  return found
}

// --- factors ----------------------------------------------------------------------------

const form = element<HTMLFormElement>("#factor")
const input = element<HTMLInputElement>("#number")
const answers = element<HTMLOListElement>("#answers")
const problem = element<HTMLElement>("#problem")

// At once: a stream sees the event when it is too late.
form.addEventListener("submit", (event) => event.preventDefault())

const superscript = (power: number): string => [...String(power)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("")

/** 2, 2, 2, 3, 3, 5 as 2³ × 3² × 5. */
const product = (factors: ReadonlyArray<bigint>): string => {
  const powers = new Map<bigint, number>()
  for (const factor of factors) powers.set(factor, (powers.get(factor) ?? 0) + 1)
  return [...powers].map(([prime, power]) => power === 1 ? `${prime}` : `${prime}${superscript(power)}`).join(" × ")
}

const showAnswer = (n: bigint, factors: ReadonlyArray<bigint>): void => {
  const item = document.createElement("li")
  const number = document.createElement("span")
  number.textContent = `${n}`
  const result = document.createElement("strong")
  result.textContent = factors.length === 1 ? "is prime" : `= ${product(factors)}`
  item.append(number, " ", result)
  answers.prepend(item)
  while (answers.children.length > 6) answers.lastElementChild?.remove()
}

// --- vitals -----------------------------------------------------------------------------

const toggle = element<HTMLButtonElement>("#toggle")
const shown = 60

const figures = [
  { name: "cpu", value: (v: Vitals) => v.cpuPercent, text: (v: Vitals) => `${v.cpuPercent.toFixed(0)} %`, least: 100 },
  { name: "heap", value: (v: Vitals) => v.heapMiB, text: (v: Vitals) => `${v.heapMiB.toFixed(1)} MiB`, least: 32 },
  { name: "connections", value: (v: Vitals) => v.connections, text: (v: Vitals) => `${v.connections}`, least: 4 }
] as const

const history: Array<Vitals> = []

const showVitals = (vitals: Vitals): void => {
  history.push(vitals)
  if (history.length > shown) history.shift()
  for (const { least, name, text, value } of figures) {
    element(`#${name} .figure`).textContent = text(vitals)
    const most = Math.max(least, ...history.map(value)) * 1.1
    const points = history.map((v, i) =>
      `${(100 * (i + shown - history.length)) / (shown - 1)},${38 - (36 * value(v)) / most}`
    )
    element(`#${name} polyline`).setAttribute("points", points.join(" "))
  }
}

// --- the service ------------------------------------------------------------------------

const status = element<HTMLElement>("#status")
const showStatus = (state: "connected" | "waiting", text: string) =>
  Effect.sync(() => {
    status.dataset["state"] = state
    status.textContent = text
  })

const url = new URL("rpc", location.href)
url.protocol = location.protocol === "https:" ? "wss:" : "ws:"

// The socket comes back by itself: the delays are its own, and this tells when to look for its next connection.
const Protocol = RpcClient.layerProtocolSocket({ retryPolicy: Schedule.spaced(100) }).pipe(
  Layer.provide(EffectSocket.layerReconnectingSocket(url)),
  Layer.provide(NativeWebSocketClient.layer),
  Layer.provide(RpcSerialization.layerNdjson),
  Layer.provide(Layer.succeed(RpcClient.ConnectionHooks, {
    onConnect: showStatus("connected", "Connected"),
    onDisconnect: showStatus("waiting", "Reconnecting…")
  }))
)

const program = Effect.gen(function*() {
  const rpc = yield* RpcClient.make(Api)

  const factor = Effect.fnUntraced(function*(text: string) {
    problem.textContent = ""
    if (!/^\d+$/.test(text)) {
      problem.textContent = "A whole number, please."
      return
    }
    const n = BigInt(text)
    showAnswer(n, yield* rpc.Factor({ n }))
  }, (effect) =>
    // What the service refuses, and what goes wrong on the way, is told apart by its type.
    effect.pipe(
      Effect.catchTag("NotFactored", (error) => Effect.sync(() => problem.textContent = error.reason)),
      Effect.catchTag("RpcClientError", () => Effect.sync(() => problem.textContent = "No answer: the connection was lost."))
    ))

  const asking = Stream.fromEventListener(form, "submit").pipe(
    Stream.runForEach(() => factor(input.value.trim()))
  )

  // A call that breaks off with its connection is made again.
  const watch = rpc.Watch({ everyMillis: 500 }).pipe(
    Stream.runForEach((vitals) => Effect.sync(() => showVitals(vitals))),
    Effect.retry(Schedule.spaced(500))
  )

  // Pausing interrupts the call, here and on the server.
  let watching = yield* Effect.forkScoped(watch)
  const toggling = Stream.fromEventListener(toggle, "click").pipe(Stream.runForEach(Effect.fnUntraced(function*() {
    const paused = toggle.getAttribute("aria-pressed") === "true"
    toggle.setAttribute("aria-pressed", String(!paused))
    toggle.textContent = paused ? "Pause" : "Resume"
    if (paused) watching = yield* Effect.forkScoped(watch)
    else yield* Fiber.interrupt(watching)
  })))

  yield* Effect.all([asking, toggling], { concurrency: "unbounded", discard: true })
}).pipe(Effect.scoped, Effect.provide(Protocol))

Effect.runFork(program)
