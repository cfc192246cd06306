/**
 * `effect-ws replay`: shows a recorded inspection again, or plays one side of it to a server or a client.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Handshake } from "@effect-ws/core"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { type ClientFlags, insecureWarning, isSecure, tlsOptions, withScheme } from "../Dial.ts"
import { failed, Failure, status, usage } from "../Failure.ts"
import { ConnectionWatch } from "../inspect/ConnectionWatch.ts"
import { encode, type Head, HeadReader, statusOf, valuesOf, withHeader } from "../inspect/Head.ts"
import { Inspection } from "../inspect/Inspection.ts"
import { printer } from "../inspect/Inspect.ts"
import * as Recording from "../inspect/Recording.ts"
import { masked } from "../inspect/Secrets.ts"
import * as Style from "../terminal/Style.ts"
import { plural, showBytes } from "../text/Quantities.ts"
import { type Outcome, play, type PlayOptions } from "./Player.ts"
import { connectionsOf, type Script, scriptOf } from "./Script.ts"

export interface Options extends Pick<ClientFlags, "headers" | "ca" | "cert" | "key" | "insecure"> {
  readonly file: string
  readonly to: Option.Option<string>
  readonly listen: boolean
  readonly host: string
  readonly port: number
  readonly connection: Option.Option<number>
  readonly speed: Option.Option<number>
  readonly timeout: number
  readonly full: boolean
}

const write = (line: string) => void process.stdout.write(`${line}\n`)
const tell = (line: string) => void process.stderr.write(`${line}\n`)

const read = (file: string): Effect.Effect<Recording.Recording, Failure> =>
  Effect.try({
    try: () => readFileSync(file, "utf8"),
    catch: (error) => usage(error instanceof Error ? error.message : String(error))
  }).pipe(Effect.flatMap((text) =>
    Effect.fromResult(Recording.parse(text)).pipe(Effect.mapError((why) => usage(`${file}: ${why}`)))
  ))

/** Reads heads up to the final one, which follows the interim responses. */
const readHead = (
  socket: Net.Socket,
  patience: number
): Promise<{ readonly head: Head; readonly rest: Uint8Array }> =>
  new Promise((resolve, reject) => {
    const reader = new HeadReader()
    const settle = (act: () => void) => {
      clearTimeout(timer)
      socket.off("data", onData).off("error", onError).off("close", onClose)
      act()
    }
    const onError = (error: Error) => settle(() => reject(error))
    const onClose = () => settle(() => reject(new Error("the connection ended during the handshake")))
    const onData = (chunk: Buffer) => {
      let rest: Uint8Array = chunk
      while (true) {
        const found = reader.push(rest)
        if (found === undefined) return
        if (found === "too long") return settle(() => reject(new Error("the head of the handshake is too long")))
        const code = statusOf(found.head)
        rest = found.rest
        if (code !== undefined && code < 200 && code !== 101) continue
        socket.pause()
        return settle(() => resolve({ head: found.head, rest: found.rest }))
      }
    }
    const timer = setTimeout(() => settle(() => reject(new Error("the handshake did not arrive in time"))), patience)
    socket.on("data", onData).on("error", onError).on("close", onClose)
  })

/** The request for the server, without the credentials that were not recorded. */
const requestFor = (head: Head, target: URL, headers: Options["headers"]): Head => {
  const given = new Set(headers.map(([name]) => name.toLowerCase()))
  const hidden = head.headers.filter(([name, value]) => value.includes(masked) && !given.has(name.toLowerCase()))
  for (const [name] of hidden) tell(`${name} was not recorded and is left out; give it by --header "${name}: …"`)
  const own = `${target.pathname}${target.search}`
  const [method, path, ...rest] = head.start.split(" ")
  const kept: Head = {
    start: own === "/" ? head.start : [method, own, ...rest].join(" "),
    headers: head.headers.filter((line) => !hidden.includes(line))
  }
  if (own === "/" && path?.includes(masked) === true) {
    tell("The query held credentials, which were not recorded; *** is sent instead. Give the URL with the whole query.")
  }
  return [["Host", target.host] as const, ...headers].reduce((changed, [name, value]) => withHeader(changed, name, value), kept)
}

const dial = async (target: URL, tls: Tls.ConnectionOptions): Promise<Net.Socket> => {
  const secure = isSecure(target.href)
  const host = target.hostname.startsWith("[") ? target.hostname.slice(1, -1) : target.hostname
  const to = { host, port: target.port === "" ? (secure ? 443 : 80) : Number(target.port), allowHalfOpen: true }
  const socket = secure ? Tls.connect({ ...tls, ...to, ...(Net.isIP(host) === 0 ? { servername: host } : {}) }) : Net.connect(to)
  await once(socket, secure ? "secureConnect" : "connect")
  return socket
}

const extensionsOf = (head: Head): string => valuesOf(head, "sec-websocket-extensions").join(", ")

/** Plays the client of one connection. */
const playClient = async (
  script: Script,
  target: URL,
  tls: Tls.ConnectionOptions,
  options: Options,
  pace: PlayOptions
): Promise<Outcome> => {
  const { client, server } = script.heads
  if (client === undefined) throw new Error("the recording has no request")
  const socket = await dial(target, tls)
  try {
    const request = requestFor(client, target, options.headers)
    socket.write(encode(request))
    const { head, rest } = await readHead(socket, pace.patience)
    const watch = new ConnectionWatch()
    watch.head("client", request)
    watch.head("server", head)
    const [before, now] = [server && statusOf(server), statusOf(head)]
    if (before !== now) return { sentBytes: 0, heard: [], differences: [`status ${before} in the recording, ${now} now`] }
    if (now !== 101) return { sentBytes: 0, heard: [], differences: [] }
    if (server !== undefined && extensionsOf(server) !== extensionsOf(head)) {
      const difference = `extensions "${extensionsOf(server)}" in the recording, "${extensionsOf(head)}" now`
      return { sentBytes: 0, heard: [], differences: [difference] }
    }
    return await play(socket, watch, script, "server", rest, pace)
  } finally {
    socket.destroy()
  }
}

/** Plays the server of one connection to a client that has connected. */
const playServer = async (script: Script, socket: Net.Socket, pace: PlayOptions): Promise<Outcome> => {
  const { server } = script.heads
  if (server === undefined) throw new Error("the recording has no answer")
  const { head, rest } = await readHead(socket, pace.patience)
  const key = valuesOf(head, "sec-websocket-key")[0] ?? ""
  const answer = statusOf(server) === 101 ? withHeader(server, "Sec-WebSocket-Accept", Handshake.acceptKey(key)) : server
  const watch = new ConnectionWatch()
  watch.head("client", head)
  const { broken } = watch.head("server", answer)
  socket.write(encode(answer))
  if (broken.length > 0) {
    socket.end()
    return { sentBytes: 0, heard: [], differences: broken.map(({ detail }) => `the client did not ask for the recorded answer: ${detail}`) }
  }
  return await play(socket, watch, script, "client", rest, pace)
}

const report = (script: Script, { differences, heard, sentBytes }: Outcome): boolean => {
  const style = Style.of(process.stdout)
  const isGood = differences.length === 0
  const result = isGood
    ? style.green(`${plural(heard.length, "message")} as recorded`)
    : style.red(plural(differences.length, "difference"))
  write(`#${script.connection} sent ${showBytes(sentBytes)}, ${result}`)
  for (const difference of differences.slice(0, 10)) write(`   ${style.red("✗")} ${Style.oneLine(difference)}`)
  if (differences.length > 10) write(style.dim(`   … ${differences.length - 10} more`))
  return isGood
}

const asFailure = (error: unknown): Failure => {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined
  const text = error instanceof Error ? error.message : String(error)
  return new Failure({ status: code === undefined ? status.failed : status.unreachable, text })
}

const toServer = (scripts: ReadonlyArray<Script>, url: string, options: Options, pace: PlayOptions) =>
  Effect.gen(function*() {
    const target = URL.parse(withScheme(url))
    if (target === null) return yield* usage(`${url} is not a URL`)
    const tls = yield* tlsOptions(options)
    if (options.insecure && isSecure(target.href)) tell(insecureWarning(Style.of(process.stderr)))
    let isGood = true
    for (const script of scripts) {
      const outcome = yield* Effect.tryPromise({
        try: () => playClient(script, target, tls, options, pace),
        catch: asFailure
      })
      isGood = report(script, outcome) && isGood
    }
    if (!isGood) return yield* failed("")
  })

const toClients = (scripts: ReadonlyArray<Script>, options: Options, pace: PlayOptions) =>
  Effect.gen(function*() {
    const waiting: Array<Net.Socket> = []
    let wake = (): void => {}
    const server = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
            socket.on("error", () => undefined)
            waiting.push(socket)
            wake()
          })
          server.listen(options.port, options.host)
          await once(server, "listening")
          return server
        },
        catch: (error) => failed(`Cannot listen on ${options.host}:${options.port}: ${String(error)}`)
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          for (const socket of waiting) socket.destroy()
        })
    )
    const { port } = server.address() as Net.AddressInfo
    tell(`Waiting for ${plural(scripts.length, "client")} on ws://${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}/`)
    let isGood = true
    for (const script of scripts) {
      const next = async (): Promise<Net.Socket> => {
        while (waiting.length === 0) await new Promise<void>((resolve) => wake = resolve)
        return waiting.shift()!
      }
      const outcome = yield* Effect.tryPromise({ try: async () => playServer(script, await next(), pace), catch: asFailure })
      isGood = report(script, outcome) && isGood
    }
    if (!isGood) return yield* failed("")
  }).pipe(Effect.scoped)

const show = (events: ReadonlyArray<Recording.Event>, isFull: boolean): void => {
  const inspection = new Inspection()
  const print = printer(isFull)
  for (const event of events) for (const observation of inspection.take(event)) print(observation)
}

/** Runs the command. */
export const run = (options: Options): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    if (options.listen && Option.isSome(options.to)) return yield* usage("--to plays to a server, --listen to a client: give one")
    const recording = yield* read(options.file)
    const known = connectionsOf(recording.events)
    const wanted = Option.match(options.connection, { onNone: () => known, onSome: (one) => known.filter((id) => id === one) })
    if (wanted.length === 0) return yield* usage(`${options.file} has no such connection; there are: ${known.join(", ")}`)
    const pace = { speed: Option.getOrUndefined(options.speed), patience: options.timeout }
    if (Option.isSome(options.to)) {
      return yield* toServer(wanted.map((id) => scriptOf(recording.events, id, "client")), options.to.value, options, pace)
    }
    if (options.listen) return yield* toClients(wanted.map((id) => scriptOf(recording.events, id, "server")), options, pace)
    show(recording.events.filter(({ connection }) => wanted.includes(connection)), options.full)
  })
