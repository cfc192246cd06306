/**
 * What observes a connection: nothing, the meter of all connections or, if its span or its log
 * lines are wanted, an account of its own. Nothing is held that is not used.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import { isRelative, relativeBase } from "../http/RelativeUrl.ts"
import type { HandshakeError, IOError, ProtocolError } from "../WebSocketError.ts"
import type { LinkObserver, ObservedLink } from "./LinkHooks.ts"
import { type Meter, meterOf } from "./Meter.ts"
import { type Attributes, CurrentOptions, type Described, type Observer, type Options } from "./Observer.ts"

interface Chosen {
  readonly span: boolean
  readonly logs: boolean
  readonly logLevel: LogLevel.Severity
  readonly handlerLogs: boolean
  readonly metrics: boolean
}

// The options of a route without options: the same for nearly all connections.
let lastCurrent: Options | undefined
let lastChosen: Chosen | undefined

const choose = (fiber: Fiber.Fiber<unknown, unknown>, own: Options | undefined): Chosen => {
  const current = fiber.getRef(CurrentOptions)
  if (own !== undefined) return chosenOf(current, own)
  if (lastCurrent !== current) lastChosen = undefined
  lastCurrent = current
  return lastChosen ??= chosenOf(current, own)
}

const chosenOf = (current: Options, own: Options | undefined): Chosen => {
  return {
    span: own?.span ?? current.span ?? true,
    logs: own?.logs ?? current.logs ?? true,
    logLevel: own?.logLevel ?? current.logLevel ?? "Debug",
    handlerLogs: own?.handlerLogs ?? current.handlerLogs ?? false,
    metrics: own?.metrics ?? current.metrics ?? true
  }
}

// Comparing two levels costs as much as everything else here, and they are nearly always the same two.
let lastLevel: LogLevel.LogLevel | undefined
let lastMinimum: LogLevel.LogLevel | undefined
let lastIsLogged = false

const isLogged = (fiber: Fiber.Fiber<unknown, unknown>, { logLevel, logs }: Chosen): boolean => {
  if (!logs) return false
  const minimum = fiber.getRef(References.MinimumLogLevel)
  if (logLevel !== lastLevel || minimum !== lastMinimum) {
    lastIsLogged = LogLevel.isGreaterThanOrEqualTo(logLevel, minimum)
    lastLevel = logLevel
    lastMinimum = minimum
  }
  return lastIsLogged
}

/** The current span, if there is one. */
export const spanAround = (fiber: Fiber.Fiber<unknown, unknown>): Tracer.AnySpan | undefined =>
  Context.getOrUndefined(fiber.context, Tracer.ParentSpan)

/** Whether spans are collected, and those of this part of the program are wanted. */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.getRef(References.TracerEnabled) &&
  fiber.getRef(Tracer.Tracer) !== Tracer.nativeTracer &&
  spanAround(fiber)?.sampled !== false

const describe = (link: ObservedLink, { attributes, subprotocol }: Described): Attributes => ({
  "websocket.role": link.protocol.role,
  "websocket.connection.id": link.serial,
  ...attributes?.(),
  ...(subprotocol !== undefined && { "websocket.subprotocol": subprotocol }),
  ...(link.extension !== undefined && { "websocket.extension": link.extension })
})

const makeSpan = (
  fiber: Fiber.Fiber<unknown, unknown>,
  role: "client" | "server",
  attributes: Attributes
): Effect.Effect<Tracer.Span> => {
  const around = spanAround(fiber)
  return Effect.makeSpan(`websocket.${role}`, {
    kind: role,
    // A trace of its own, because a connection outlives its request.
    root: true,
    ...(around !== undefined && { links: [{ span: around, attributes: {} }] }),
    attributes: { ...attributes, "network.protocol.name": "websocket" }
  })
}

/** Whether the attributes of a connection are used. */
export const isWanted = (
  fiber: Fiber.Fiber<unknown, unknown>,
  observability: Options | undefined
): boolean => {
  const chosen = choose(fiber, observability)
  return chosen.handlerLogs || isLogged(fiber, chosen) || (chosen.span && isTraced(fiber))
}

/**
 * Attaches the observers to a connection that opens now. Returns what is left to do, if
 * anything.
 */
const attach = (
  fiber: Fiber.Fiber<unknown, unknown>,
  link: ObservedLink,
  described: Described
): Effect.Effect<void> | undefined => {
  const chosen = choose(fiber, described.observability)
  const { role } = link.protocol
  const logged = isLogged(fiber, chosen)
  const traced = chosen.span && isTraced(fiber)
  const attributes = logged || traced ? describe(link, described) : undefined
  const meter = chosen.metrics ? meterOf(role, fiber.context) : undefined
  meter?.opens(link)
  link.observer = meter
  if (attributes === undefined) return undefined
  const log = logged ? new Log(chosen.logLevel, attributes, fiber.context) : undefined
  const span = traced ? makeSpan(fiber, role, attributes) : Effect.undefined
  return Effect.map(span, (span) => {
    const clock = fiber.getRef(References.TracerTimingEnabled) ? fiber.getRef(Clock.Clock) : undefined
    // A span that is not sampled is not recorded.
    const open = span?.sampled === true ? new OpenSpan(span, clock) : undefined
    if (open !== undefined || log !== undefined) link.observer = new OwnAccount(meter, open, log)
    log?.write("WebSocket opened", {}, undefined)
  }).pipe(Effect.onError(() =>
    // If a user's tracer dies, there will be no connection.
    Effect.sync(() => meter?.withdraw(link))
  ))
}

/** Adds the attributes of a connection to what its handler logs. They are computed when a line is logged. */
export const annotate = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  link: ObservedLink,
  observability: Options | undefined,
  describedBy: (fiber: Fiber.Fiber<unknown, unknown>) => Described
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    choose(fiber, observability).handlerLogs
      ? Effect.annotateLogs(effect, describe(link, describedBy(fiber)))
      : effect
  )

/** An opening handshake was refused, or failed. */
export const handshakeFailed = (
  role: "client" | "server",
  error: HandshakeError | IOError,
  described: Described
): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const chosen = choose(fiber, described.observability)
    if (chosen.metrics) meterOf(role, fiber.context).handshakeFailed(error.reason)
    if (!isLogged(fiber, chosen)) return Effect.void
    const message = role === "server" ? "WebSocket refused" : "WebSocket not opened"
    return Effect.annotateLogs(Effect.logWithLevel(chosen.logLevel)(message, Cause.fail(error)), {
      "websocket.role": role,
      ...described.attributes?.(),
      "error.type": error.reason
    })
  })

type Failure = ProtocolError | IOError

const failureOf = (link: ObservedLink): Failure | undefined => link.readFailure ?? link.broken

const describeEnd = (link: ObservedLink, failure: Failure | undefined): Attributes => {
  const { code, initiator } = link.closeInfo
  return {
    "websocket.close.code": code,
    "websocket.close.initiator": initiator,
    ...(failure !== undefined && { "error.type": failure._tag === "IOError" ? failure.reason : failure.rule })
  }
}

/** The account of one connection. */
class OwnAccount implements LinkObserver {
  private readonly meter: Meter | undefined
  private readonly span: OpenSpan | undefined
  private readonly log: Log | undefined

  constructor(meter: Meter | undefined, span: OpenSpan | undefined, log: Log | undefined) {
    this.meter = meter
    this.span = span
    this.log = log
  }

  onRoundTrip(millis: number): void {
    this.meter?.onRoundTrip(millis)
  }

  onGone(link: ObservedLink): void {
    this.meter?.onGone(link)
    const failure = failureOf(link)
    const attributes = describeEnd(link, failure)
    this.span?.end(link, attributes, failure)
    this.log?.write("WebSocket closed", attributes, failure)
  }

  onDisposed(link: ObservedLink): void {
    this.meter?.onDisposed(link)
  }
}

class OpenSpan {
  private readonly span: Tracer.Span
  private readonly clock: Clock.Clock | undefined

  constructor(span: Tracer.Span, clock: Clock.Clock | undefined) {
    this.span = span
    this.clock = clock
  }

  end(link: ObservedLink, attributes: Attributes, failure: Failure | undefined): void {
    const { clock, span } = this
    for (const [key, value] of Object.entries(attributes)) span.attribute(key, value)
    span.attribute("websocket.messages.received", link.protocol.inbound.receivedMessages)
    span.attribute("websocket.messages.sent", link.protocol.outbound.sentMessages)
    span.attribute("websocket.bytes.received", link.receivedBytes)
    span.attribute("websocket.bytes.sent", link.sentBytes)
    span.end(
      clock === undefined ? BigInt(0) : clock.currentTimeNanosUnsafe(),
      failure === undefined ? Exit.void : Exit.fail(failure)
    )
  }
}

class Log {
  private readonly level: LogLevel.Severity
  private readonly attributes: Attributes
  private readonly context: Context.Context<never>

  constructor(level: LogLevel.Severity, attributes: Attributes, context: Context.Context<never>) {
    this.level = level
    this.attributes = attributes
    this.context = context
  }

  write(message: string, more: Attributes, failure: Failure | undefined): void {
    const line = failure === undefined
      ? Effect.logWithLevel(this.level)(message)
      : Effect.logWithLevel(this.level)(message, Cause.fail(failure))
    // The transport calls, which is no fiber.
    Effect.runForkWith(this.context)(Effect.annotateLogs(line, { ...this.attributes, ...more }))
  }
}

/** The attributes of spans and log lines for a URL. The query is left out, because it often holds a token. */
/** What is said of a client's connection to this URL. */
export const attributesOf = (url: string | URL): Attributes => {
  const text = String(url)
  const parsed = URL.parse(text, relativeBase)
  if (parsed === null) return {}
  const path = { "url.path": parsed.pathname }
  if (isRelative(url)) return path
  const secure = parsed.protocol === "wss:" || parsed.protocol === "https:"
  return {
    "server.address": parsed.hostname,
    "server.port": parsed.port === "" ? secure ? 443 : 80 : Number(parsed.port),
    "url.scheme": secure ? "wss" : "ws",
    ...path
  }
}

/** The observer of connections over bytes, of servers, and of what a program provides it to. */
export const observer: Observer = {
  attach,
  connecting: (url, observability, connect) => {
    const attributes = () => attributesOf(url)
    return Effect.tapError(connect(attributes), (error) => handshakeFailed("client", error, { observability, attributes }))
  }
}
