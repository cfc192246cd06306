/**
 * Connects by the platform's own WebSocket. The platform performs the opening handshake and says little
 * about it. Options that it does not have fail with a typed error.
 */
import * as Effect from "effect/Effect"
import { type ConnectOptions, Connector } from "../client/Connector.ts"
import type { MakeKeepAlive } from "../connection/MessageLink.ts"
import * as NativeOpening from "../connection/NativeOpening.ts"
import { ProvidedObserver } from "../connection/Observer.ts"
import { type HeadersInput, toHeaderList } from "../http/HeadersInput.ts"
import * as Limits from "../Limits.ts"
import type { MessageTransport } from "../MessageTransport.ts"
import { HandshakeError, type HandshakeRule, IOError } from "../WebSocketError.ts"
import { eventCapabilities, EventTransport, type WebSocketLike } from "./EventTransport.ts"
import { StreamTransport, type WebSocketStreamLike } from "./StreamTransport.ts"

/** What is dialled: options that a platform has. */
export interface Target {
  readonly url: string
  readonly subprotocols: ReadonlyArray<string>
  readonly headers: Readonly<Record<string, string>> | undefined
}

/** A WebSocket that is open. */
export interface Dialled {
  readonly transport: MessageTransport
  readonly protocol: string
  readonly extensions: string
}

export interface ConnectorOptions {
  /** What the platform's constructor takes as headers, if it takes any. */
  readonly headers?: ((headers: HeadersInput | undefined) => Target["headers"]) | undefined
  /** What finds out that a peer vanished, if anything does. */
  readonly keepAlive?: MakeKeepAlive | undefined
  /** Makes the writer that `slowConsumer` asks for, where that may be given. */
  readonly makeWriter?: NativeOpening.MakeWriter | undefined
}

/** `hold` is called as soon as there is a transport, so that an interrupted attempt leaves nothing else. */
type Dial = (
  target: Target,
  hold: (transport: MessageTransport) => void
) => Effect.Effect<Dialled, HandshakeError | IOError>

const refuse = (reason: HandshakeRule, section: string, detail: string): HandshakeError =>
  new HandshakeError({ reason, section, detail, headers: [], body: "" })

/** Whether there is anything in an option: an entry of a list, or a field that is given. */
const isGiven = (option: object | undefined): boolean =>
  option !== undefined && [...Symbol.iterator in option ? option as Iterable<unknown> : Object.values(option)]
    .some((value) => value !== undefined)

/** The first option that the platform does not have. */
const missingOption = (options: ConnectOptions, own: ConnectorOptions, isObserved: boolean): string | undefined => {
  const { compression, extensions, headers, keepAlive, observability, slowConsumer = "suspend" } = options
  const missing = {
    headers: own.headers === undefined && isGiven(headers),
    compression: compression === false || typeof compression === "object",
    extensions: isGiven(extensions),
    keepAlive: own.keepAlive === undefined && isGiven(keepAlive || undefined),
    slowConsumer: own.makeWriter === undefined && slowConsumer !== "suspend",
    observability: !isObserved && isGiven(observability)
  }
  return Object.entries(missing).find(([, isMissing]) => isMissing)?.[0]
}

const unsupported = (option: string): HandshakeError =>
  refuse(
    "OptionUnsupported",
    "WHATWG WebSockets §3.1",
    `the WebSocket of this platform has no ${option}; NativeWebSocketClient.layerOptions and Observability.layer have more options`
  )

/** The URL as ws or wss. Where there is a page, or a worker, relative URLs are resolved against its own. */
const resolve = (url: string | URL): URL | HandshakeError => {
  const section = "RFC 6455 §3"
  const { location } = globalThis as { readonly location?: { readonly href: string } | undefined }
  const parsed = URL.parse(url, location?.href)
  if (parsed === null) return refuse("UrlInvalid", section, "the URL cannot be parsed")
  if (parsed.protocol === "http:" || parsed.protocol === "https:") parsed.protocol = parsed.protocol.replace("http", "ws")
  if (parsed.protocol !== "ws:" && parsed.protocol !== "wss:") {
    return refuse("UrlScheme", section, "the URL is none of ws, wss, http and https")
  }
  if (parsed.href.includes("#")) return refuse("UrlFragment", section, "the URL has a fragment")
  if (parsed.username !== "" || parsed.password !== "") {
    return refuse("UrlCredentials", section, "the URL has a user or password")
  }
  return parsed
}

const targetOf = (url: string | URL, options: ConnectOptions, own: ConnectorOptions): Target | HandshakeError => {
  const resolved = resolve(url)
  if (resolved instanceof HandshakeError) return resolved
  const { subprotocols = [] } = options
  return {
    url: resolved.href,
    subprotocols: typeof subprotocols === "string" ? [subprotocols] : subprotocols,
    headers: own.headers?.(options.headers)
  }
}

/** Headers as a record, for constructors that take one. */
export const headersOf = (input: HeadersInput | undefined): Target["headers"] => {
  const headers: Record<string, string> = {}
  for (const [name, value] of toHeaderList(input)) {
    const before = Object.hasOwn(headers, name) ? `${headers[name]}, ` : ""
    headers[name] = before + value
  }
  return Object.keys(headers).length === 0 ? undefined : headers
}

/** An exception of the constructor is about its arguments. */
const invalid = ({ subprotocols }: Target, cause: unknown): HandshakeError => {
  const isAboutSubprotocols = subprotocols.length > 0 && String(cause).includes("protocol")
  return refuse(
    isAboutSubprotocols ? "SubprotocolsInvalid" : "UrlInvalid",
    "WHATWG WebSockets §3.1",
    `the platform refuses to connect: ${cause instanceof Error ? cause.message : String(cause)}`
  )
}

const notOpened = (cause: unknown): IOError =>
  new IOError({
    phase: "connect",
    reason: "Unknown",
    detail: "The WebSocket did not open: the server could not be reached, or refused. The platform does not tell which",
    ...(cause === undefined ? undefined : { cause })
  })

/** Makes a `Connector` from a way to dial. */
export const makeConnector = (dial: Dial, own: ConnectorOptions): Connector["Service"] =>
  Connector.of({
    open: (url, options) =>
      Effect.gen(function*() {
        const missing = missingOption(options, own, (yield* ProvidedObserver) !== undefined)
        if (missing !== undefined) return yield* unsupported(missing)
        const target = targetOf(url, options, own)
        if (target instanceof HandshakeError) return yield* target
        let held: MessageTransport | undefined
        yield* Effect.addFinalizer(() => Effect.sync(() => held?.destroy()))
        const dialled = yield* dial(target, (transport) => {
          held = transport
        })
        if (target.subprotocols.length > 0 && dialled.protocol === "" && options.requireSubprotocol !== false) {
          return yield* refuse("SubprotocolMissing", "RFC 6455 §4.1", "none of the subprotocols was accepted")
        }
        const extension = /[^\s;,]+/.exec(dialled.extensions)?.[0]
        return {
          make: (given) =>
            NativeOpening.make(dialled.transport, Limits.make(given), {
              ...given,
              extension,
              keepAlive: own.keepAlive,
              makeWriter: own.makeWriter
            }),
          subprotocol: dialled.protocol === "" ? undefined : dialled.protocol,
          responseHeaders: []
        }
      })
  })

/** Dials by a `WebSocket`. */
export const dialEvents = (construct: (target: Target) => WebSocketLike): Dial => (target, hold) =>
  Effect.callback((resume) => {
    let socket: WebSocketLike
    try {
      socket = construct(target)
    } catch (cause) {
      resume(Effect.fail(invalid(target, cause)))
      return undefined
    }
    let cause: unknown
    const listeners = {
      open: () => {
        leave()
        // Made at once, because the next event may be a message.
        const transport = new EventTransport(socket, eventCapabilities)
        hold(transport)
        resume(Effect.succeed({ transport, protocol: socket.protocol ?? "", extensions: socket.extensions ?? "" }))
      },
      error: (event: { readonly error?: unknown; readonly message?: string }) => {
        cause = event.error ?? event.message
      },
      close: () => {
        leave()
        resume(Effect.fail(notOpened(cause)))
      }
    }
    const leave = () => {
      for (const [type, listener] of Object.entries(listeners)) socket.removeEventListener(type, listener)
    }
    for (const [type, listener] of Object.entries(listeners)) socket.addEventListener(type, listener)
    return Effect.sync(() => {
      leave()
      // The error of an abandoned attempt is ignored.
      socket.addEventListener("error", () => {})
      socket.close()
    })
  })

/** Dials by a `WebSocketStream`. */
export const dialStream = (
  construct: (target: Target, signal: AbortSignal) => WebSocketStreamLike
): Dial =>
(target, hold) =>
  Effect.callback((resume, signal) => {
    let stream: WebSocketStreamLike
    try {
      stream = construct(target, signal)
    } catch (cause) {
      return resume(Effect.fail(invalid(target, cause)))
    }
    // It rejects along with `opened`.
    stream.closed.catch(() => {})
    stream.opened.then(
      (opened) => {
        const transport = new StreamTransport(stream, opened)
        hold(transport)
        resume(Effect.succeed({ transport, protocol: opened.protocol, extensions: opened.extensions }))
      },
      (cause: unknown) => resume(Effect.fail(notOpened(cause)))
    )
  })
