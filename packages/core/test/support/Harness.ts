/** A connection over a `FakeTransport`, and what its peer says. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Deadlines from "../../src/runtime/Deadlines.ts"
import type { Frame } from "../../src/Frame.ts"
import * as Opcode from "../../src/Opcode.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { closeBody, concat, FakeTransport, type FakeOptions, frame, framesOf } from "./FakeTransport.ts"

export interface Options extends Partial<WebSocket.Options>, FakeOptions {}

export const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)

/** Lets every other fiber and microtask go on as far as it can. */
export const turn: Effect.Effect<void> = Effect.repeat(Effect.yieldNow, { times: 8 })

/** A connection in a scope of its own. */
export const make = Effect.fnUntraced(function*(options: Options = {}) {
  const { chunks, closesLater = false, primitives, ...rest } = options
  const transport = new FakeTransport({ ...(chunks && { chunks }), ...(primitives && { primitives }), closesLater })
  const role = rest.role ?? "server"
  const scope = yield* Scope.make()
  const ws = yield* WebSocket.make(transport, { ...rest, role }).pipe(Scope.provide(scope))
  const deadlines = yield* Deadlines.current
  const masked = role === "server"
  const from = (opcode: Opcode.Opcode, data: Uint8Array | string, fin = true) => frame(opcode, data, { masked, fin })
  let read = 0
  const open = {
    transport,
    ws,
    scope,
    deadlines,
    from,
    text: (data: string, fin = true) => from(Opcode.Text, data, fin),
    binary: (data: Uint8Array | number, fin = true) =>
      from(Opcode.Binary, typeof data === "number" ? new Uint8Array(data) : data, fin),
    more: (data: Uint8Array | string, fin = true) => from(Opcode.Continuation, data, fin),
    ping: (data: Uint8Array | string = "") => from(Opcode.Ping, data),
    pong: (data: Uint8Array | string = "") => from(Opcode.Pong, data),
    close: (code?: number, reason?: string) =>
      from(Opcode.Close, code === undefined ? new Uint8Array(0) : closeBody(code, reason)),
    /** Frames that were taken and not looked at yet. */
    sent: (): Array<Frame> => {
      const writes = transport.writes.slice(read)
      read = transport.writes.length
      return framesOf(concat(writes), masked ? "forbidden" : "required")
    },
    /** The same, in short. */
    said: (): Array<string> => open.sent().map(show),
    /** Alarms of all connections on this clock. */
    alarms: () => deadlines["heap"].length
  }
  // The test's end is not the peer's business.
  yield* Effect.addFinalizer(() => Effect.sync(() => transport.isClosed || transport.closes()))
  return open
})

const names: Record<number, string> = { 0: "more", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" }

/** A frame in a few words: `text hello`, `binary 3`, `close 1000 bye`. */
const show = (frame: Frame): string => {
  const { data, fin, opcode } = frame
  const text = () => new TextDecoder().decode(data)
  const body = opcode === 8
    ? data.length === 0 ? "" : ` ${(data[0] << 8) | data[1]} ${new TextDecoder().decode(data.subarray(2))}`.trimEnd()
    : opcode === 9 || opcode === 2 || data.length > 100
    ? ` ${data.length}`
    : data.length === 0
    ? ""
    : ` ${text()}`
  return `${names[opcode]}${fin ? "" : "+"}${body}`
}

/** Starts an effect and lets it run as far as it can. */
export const start = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.tap(Effect.forkChild(effect), () => turn)

/** Whether a fiber is still busy. */
export const isPending = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() === undefined

/** The outcome of a fiber that must be done. */
export const done = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> => {
  assert.isFalse(isPending(fiber), "is still pending")
  return Fiber.join(fiber)
}
