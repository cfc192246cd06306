/**
 * `effect-ws serve`: a server for trying clients.
 */
import { type Message, Origin, type WebSocket, WebSocketServer } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage } from "node:http"
import { createServer as createSecureServer } from "node:https"
import * as NodeHttpServer from "../../NodeHttpServer.ts"
import { type Failure, failed, usage } from "../Failure.ts"
import * as Hex from "../terminal/Hex.ts"
import * as Style from "../terminal/Style.ts"
import * as Closing from "../text/Closing.ts"
import { plural } from "../text/Quantities.ts"
import * as Script from "./Script.ts"

export interface Options {
  readonly host: string
  readonly port: number
  readonly broadcast: boolean
  readonly answers: Option.Option<string>
  readonly subprotocols: ReadonlyArray<string>
  readonly compression: boolean
  readonly cert: Option.Option<string>
  readonly key: Option.Option<string>
  readonly maxSize: number
  readonly quiet: boolean
}

const write = (line: string) => void process.stdout.write(`${line}\n`)

/** Shows the events of the connections, one on each line. */
const makeLog = (isQuiet: boolean) => {
  const style = Style.of(process.stdout)
  const line = (id: number, text: string) => {
    if (!isQuiet) write(`${style.dim(`#${id}`)} ${text}`)
  }
  const shown = (message: Message.Message): string => {
    if (typeof message !== "string") return style.yellow(`${plural(message.length, "byte")} ${Hex.brief(message)}`.trimEnd())
    const start = Style.oneLine(message.length > 200 ? message.slice(0, 200) : message)
    return message.length > 200 ? `${start} ${style.dim(`… ${message.length - 200} more characters`)}` : start
  }
  return {
    opened: (id: number, path: string, ws: WebSocket.WebSocket, address: string) =>
      line(
        id,
        `${style.green("open")} ${Style.oneLine(path)} from ${address}` +
          [ws.subprotocol, ws.extension].filter((part) => part !== undefined).map((part) => `, ${part}`).join("")
      ),
    received: (id: number, message: Message.Message) => line(id, `${style.magenta("<")} ${shown(message)}`),
    sent: (id: number, message: Message.Message) => line(id, `${style.blue(">")} ${shown(message)}`),
    closed: (id: number, info: Parameters<typeof Closing.describe>[0]) => line(id, Closing.describe(info, style, "server")),
    refused: (path: string, why: string) => {
      if (!isQuiet) write(`${style.red("refused")} ${Style.oneLine(path)}: ${why}`)
    }
  }
}

type Log = ReturnType<typeof makeLog>
type Handler = (ws: WebSocket.WebSocket, id: number) => Effect.Effect<void, unknown>

const echo = (log: Log): Handler => (ws, id) =>
  Stream.runForEach(ws.messages, (message) => {
    log.received(id, message)
    return ws.send(message)
  })

/** Sends every message to all connections except its sender's. */
const broadcast = (log: Log): Handler => {
  const everybody = new Map<number, WebSocket.WebSocket>()
  return (ws, id) =>
    Effect.suspend(() => {
      everybody.set(id, ws)
      return Stream.runForEach(ws.messages, (message) => {
        log.received(id, message)
        return Effect.forEach(everybody, ([other, receiver]) => other === id ? Effect.void : Effect.ignore(receiver.send(message)), {
          discard: true
        })
      })
    }).pipe(Effect.ensuring(Effect.sync(() => everybody.delete(id))))
}

const scripted = (script: Script.Script, log: Log, cut: () => void): Handler => (ws, id) =>
  Effect.gen(function*() {
    // Shown after `send` has accepted it: after a Close it accepts nothing.
    const say = (message: Message.Message) => Effect.andThen(ws.send(message), Effect.sync(() => log.sent(id, message)))
    const act = (action: Script.Action, message: Message.Message | undefined) =>
      Effect.gen(function*() {
        if (action.wait !== undefined) yield* Effect.sleep(action.wait)
        if (action.send !== undefined) {
          yield* say(typeof action.send === "string" ? action.send : JSON.stringify(action.send))
        }
        if (action.sendHex !== undefined) yield* say(Hex.parse(action.sendHex) ?? new Uint8Array(0))
        if (action.echo === true && message !== undefined) yield* say(message)
        if (action.ping === true) yield* ws.ping()
        if (action.close !== undefined) yield* ws.close(action.close, action.reason)
        if (action.cut === true) {
          yield* ws.flush
          cut()
        }
      })
    const perform = (actions: ReadonlyArray<Script.Action>, message?: Message.Message) =>
      Effect.forEach(actions, (action) => act(action, message), { discard: true })
    const given = new Map<Script.Answer, number>()
    yield* perform(script.open ?? [])
    yield* Stream.runForEach(ws.messages, (message) => {
      log.received(id, message)
      const answer = script.answers?.find((answer) =>
        (given.get(answer) ?? 0) < (answer.times ?? Infinity) && Script.fits(answer, message)
      )
      if (answer === undefined) return Effect.void
      given.set(answer, (given.get(answer) ?? 0) + 1)
      return perform(answer.do, message)
    })
  })

const pathOf = (url: string): string => url.split("?")[0] ?? url

const makeApp = (options: Options, scripts: Script.Scripts | undefined, log: Log) => {
  const everybody = broadcast(log)
  let connections = 0
  const handlerOf = (script: Script.Script | undefined, cut: () => void): Handler =>
    script !== undefined ? scripted(script, log, cut) : options.broadcast ? everybody : echo(log)
  return Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const path = pathOf(request.url)
    const script = scripts === undefined ? undefined : Script.find(scripts, path)
    if (scripts !== undefined && script === undefined) {
      log.refused(path, "404, no script for this path")
      return HttpServerResponse.text(`There is no script for ${path}\n`, { status: 404 })
    }
    if (script?.refuse !== undefined) {
      const { body = "", headers = {}, status } = script.refuse
      log.refused(path, `${status}, as its script says`)
      return HttpServerResponse.text(body, { status, headers })
    }
    const { socket } = request.source as IncomingMessage
    const address = `${socket.remoteAddress}:${socket.remotePort}`
    const ws = yield* WebSocketServer.accept({
      origin: Origin.unsafeAllowAny,
      selectSubprotocol: script?.subprotocols ?? options.subprotocols,
      compression: options.compression,
      maxMessageSize: options.maxSize
    }).pipe(Effect.tapError((error) => Effect.sync(() => log.refused(path, error.message))))
    const id = ++connections
    log.opened(id, path, ws, address)
    yield* Effect.ignore(handlerOf(script, () => socket.destroy())(ws, id))
    log.closed(id, yield* ws.closed)
    return HttpServerResponse.empty()
  }).pipe(Effect.scoped)
}

const makeServer = (options: Options) =>
  Effect.try({
    try: () =>
      Option.isSome(options.cert) && Option.isSome(options.key)
        ? createSecureServer({ cert: readFileSync(options.cert.value), key: readFileSync(options.key.value) })
        : createServer(),
    catch: (error) => usage(error instanceof Error ? error.message : String(error))
  })

/** Runs the command, until it is interrupted. */
export const run = (options: Options): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    if (Option.isSome(options.cert) !== Option.isSome(options.key)) return yield* usage("--cert and --key belong together")
    const scripts = Option.isSome(options.answers) ? yield* Script.read(options.answers.value) : undefined
    const server = yield* makeServer(options)
    const { host, port } = options
    const scheme = Option.isSome(options.cert) ? "wss" : "ws"
    const style = Style.of(process.stdout)
    const announce = HttpServer.HttpServer.use(({ address }) =>
      Effect.sync(() => {
        if (address._tag === "UnixPathAddress") return
        const name = host.includes(":") ? `[${host}]` : host
        write(`${style.green("Listening")} on ${scheme}://${name}:${address.port}/`)
        const paths = scripts === undefined ? [] : [...scripts.keys()]
        if (paths.length > 0) write(style.dim(`paths: ${paths.map((path) => path === "*" ? "all others" : path).join(", ")}`))
      })
    )
    const serving = HttpServer.serve(makeApp(options, scripts, makeLog(options.quiet))).pipe(
      Layer.merge(Layer.effectDiscard(announce)),
      Layer.provide(NodeHttpServer.layerServer(() => server, { host, port, shutdown: { grace: 1000 } }))
    )
    return yield* Layer.launch(serving).pipe(
      Effect.catchTag("ServeError", (error) =>
        failed(`Cannot listen on ${host}:${port}: ${error.cause instanceof Error ? error.cause.message : error.message}`))
    )
  })
