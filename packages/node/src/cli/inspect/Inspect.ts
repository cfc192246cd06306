/**
 * `effect-ws inspect`: shows everything that passes between a client and a server.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { closeSync, openSync, writeSync } from "node:fs"
import { type ClientFlags, insecureWarning, isSecure, tlsOptions, withScheme } from "../Dial.ts"
import { failed, type Failure, usage } from "../Failure.ts"
import * as Style from "../terminal/Style.ts"
import type { Head } from "./Head.ts"
import { Inspection } from "./Inspection.ts"
import type { Observation, Side } from "./Observation.ts"
import * as PageServer from "./PageServer.ts"
import * as Proxy from "./Proxy.ts"
import * as Recording from "./Recording.ts"
import * as Secrets from "./Secrets.ts"
import * as Show from "./Show.ts"

export interface Options extends Pick<ClientFlags, "headers" | "origin" | "ca" | "cert" | "key" | "insecure"> {
  readonly target: string
  readonly host: string
  readonly port: number
  readonly page: boolean
  readonly pagePort: number
  readonly record: Option.Option<string>
  readonly full: boolean
  readonly quiet: boolean
  readonly showSecrets: boolean
}

const tell = (line: string) => void process.stderr.write(`${line}\n`)

/** Writes observations on stdout. */
export const printer = (isFull: boolean): (observation: Observation) => void => {
  const style = Style.of(process.stdout)
  return (observation) => {
    const columns = process.stdout.isTTY ? process.stdout.columns || 80 : 160
    process.stdout.write(`${Show.lines(observation, { style, columns, isFull }).join("\n")}\n`)
  }
}

/** A file to which each line is written at once, so that nothing is missing if this program is killed. */
const openRecord = (path: string) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => openSync(path, "w", 0o600),
      catch: (error) => usage(`${path}: ${error instanceof Error ? error.message : String(error)}`)
    }),
    (file) => Effect.sync(() => closeSync(file))
  )

const targetOf = (target: string): Effect.Effect<URL, Failure> => {
  const url = URL.parse(withScheme(target))
  return url === null || !/^(?:wss?|https?):$/.test(url.protocol)
    ? Effect.fail(usage(`${target} is not the URL of a WebSocket`))
    : Effect.succeed(url)
}

/** Runs the command, until it is interrupted. */
export const run = (options: Options): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const target = yield* targetOf(options.target)
    const tls = yield* tlsOptions(options)
    const style = Style.of(process.stderr)
    if (options.insecure && isSecure(target.href)) tell(insecureWarning(style))

    const began = performance.now()
    const record = Option.isSome(options.record) ? yield* openRecord(options.record.value) : undefined
    const save = (line: Recording.Line) => {
      if (record !== undefined) writeSync(record, Recording.encode(line))
    }
    save({
      event: "start",
      version: Recording.version,
      date: new Date().toISOString(),
      target: target.origin + target.pathname,
      masked: !options.showSecrets
    })

    const page = options.page
      ? yield* PageServer.make(options.host, options.pagePort, target.origin).pipe(
        Effect.mapError(() => failed(`The page cannot listen on ${options.host}:${options.pagePort}`))
      )
      : undefined
    const print = options.quiet ? undefined : printer(options.full)
    const inspection = new Inspection()
    const take = (event: Recording.Event) => {
      save(event)
      for (const observation of inspection.take(event)) {
        print?.(observation)
        page?.show(observation)
      }
    }
    const now = () => Recording.rounded(performance.now() - began)
    const proxy = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () =>
          Proxy.start({
            host: options.host,
            port: options.port,
            target,
            tls,
            headers: [
              ...options.headers,
              ...(Option.isSome(options.origin) ? [["Origin", options.origin.value] as const] : [])
            ],
            onHead: (connection, from, head) => take(headEvent(now(), connection, from, options.showSecrets ? head : Secrets.mask(head))),
            onBytes: (connection, from, bytes) => take(Recording.bytesEvent(now(), connection, from, bytes)),
            onEnd: (connection, from, how) => take({ event: "end", at: now(), connection, from, how })
          }),
        catch: (error) =>
          failed(`Cannot listen on ${options.host}:${options.port}: ${error instanceof Error ? error.message : String(error)}`)
      }),
      (proxy) => Effect.sync(proxy.close)
    )
    const host = options.host.includes(":") ? `[${options.host}]` : options.host
    tell(`${style.green("Listening")} on ws://${host}:${proxy.port}/ for ${target.origin}`)
    if (page !== undefined) tell(`${style.green("Page")} ${page.url}`)
    return yield* Effect.never
  }).pipe(Effect.scoped)

const headEvent = (at: number, connection: number, from: Side, { headers, start }: Head): Recording.Event => ({
  event: "head",
  at,
  connection,
  from,
  start,
  headers
})
