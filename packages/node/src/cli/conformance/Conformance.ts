/**
 * `effect-ws conformance`: plays the suite against a server, or waits for a client.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import type { Case } from "../../conformance/cases/Case.ts"
import type { Group } from "../../conformance/cases/Cases.ts"
import { serveClients } from "../../conformance/ClientHost.ts"
import { connect, type Target } from "../../conformance/Peer.ts"
import * as Html from "../../conformance/report/Html.ts"
import * as Markdown from "../../conformance/report/Markdown.ts"
import { type Agent, count, findings, fromJson, merge, resultsOf, showIds, toJson } from "../../conformance/report/Report.ts"
import { type Result, runAll, type RunOptions, runServerCase, type Verdict } from "../../conformance/Runner.ts"
import { allGroups, choose } from "../../conformance/Selection.ts"
import { type ClientFlags, insecureWarning, isSecure, tlsOptions, withScheme } from "../Dial.ts"
import { failed, Failure, status, usage } from "../Failure.ts"
import * as Progress from "../terminal/Progress.ts"
import * as Style from "../terminal/Style.ts"
import * as Table from "../terminal/Table.ts"
import { plural, showMillis } from "../text/Quantities.ts"

export interface Options extends Pick<ClientFlags, "headers" | "ca" | "cert" | "key" | "insecure"> {
  readonly url: Option.Option<string>
  readonly client: boolean
  readonly host: string
  readonly port: number
  readonly cases: string
  readonly exclude: string
  readonly agent: Option.Option<string>
  readonly full: boolean
  readonly parallel: number
  readonly timeout: Option.Option<number>
  readonly json: Option.Option<string>
  readonly html: Option.Option<string>
  readonly markdown: Option.Option<string>
  readonly strict: boolean
  readonly list: boolean
}

const write = (text: string) => void process.stdout.write(text)

const selection = (options: Options): Effect.Effect<ReadonlyArray<Case>, Failure> =>
  Effect.try({
    try: () => choose(options.cases, options.exclude),
    catch: (error) => usage(error instanceof Error ? error.message : String(error))
  }).pipe(Effect.filterOrFail((cases) => cases.length > 0, () => usage("--exclude leaves no case to play")))

/** The groups with the cases that are played. */
const groupsOf = (cases: ReadonlyArray<Case>): ReadonlyArray<Group> => {
  const played = new Set(cases)
  return allGroups.map(({ cases, title }) => ({ title, cases: cases.filter((item) => played.has(item)) }))
    .filter(({ cases }) => cases.length > 0)
}

const runOptions = (options: Options): RunOptions => ({
  inFull: options.full,
  ...(Option.isSome(options.timeout) && {
    deadlines: { handshake: options.timeout.value, exchange: options.timeout.value, tcp: options.timeout.value }
  })
})

const paint = (verdict: Verdict, style: Style.Style): (text: string) => string =>
  ({
    OK: style.green,
    INFORMATIONAL: style.blue,
    "NON-STRICT": style.yellow,
    UNIMPLEMENTED: style.dim,
    FAILED: style.red
  })[verdict]

/** Shows each case while it is played, and each result that is not OK at once. */
const makeWatch = (total: number) => {
  const style = Style.of(process.stderr)
  const progress = Progress.make(process.stderr, style)
  let done = 0
  let bad = 0
  const show = (item: Case) =>
    progress.show(
      done / total,
      `${done}/${total}${bad === 0 ? "" : ` ${style.red(`${bad} failed`)}`} ${style.dim(`${item.id} ${item.description}`)}`
    )
  return {
    begin: show,
    result: (item: Case, result: Result) => {
      done++
      if (result.verdict === "FAILED") {
        bad++
        progress.line(`${style.red("FAILED")} ${item.id} ${item.description}: ${Style.oneLine(result.message)}`)
      }
      show(item)
    },
    line: progress.line,
    end: progress.end
  }
}

const table = (agent: Agent, groups: ReadonlyArray<Group>, style: Style.Style): string => {
  const row = (title: string, results: ReadonlyArray<Result>): ReadonlyArray<string> => {
    const counts = count(results)
    const shown = (verdict: Verdict, number = counts[verdict]) =>
      number === 0 ? style.dim("·") : paint(verdict, style)(String(number))
    return [
      title,
      String(results.length),
      shown("OK", counts.OK + counts.INFORMATIONAL),
      shown("NON-STRICT"),
      shown("UNIMPLEMENTED"),
      shown("FAILED")
    ]
  }
  return Table.render(
    ["group", "played", "OK", "non-strict", "not implemented", "failed"],
    [
      ...groups.map((group) => row(group.title, resultsOf(agent, group))),
      row(style.bold("all"), groups.flatMap((group) => resultsOf(agent, group)))
    ],
    style
  )
}

const remarks = (agent: Agent, groups: ReadonlyArray<Group>, style: Style.Style): ReadonlyArray<string> =>
  findings(agent, groups).map(({ ids, message, verdict }) =>
    `${paint(verdict, style)(verdict.toLowerCase())} ${showIds(ids)}: ${Style.oneLine(message)}`
  )

const saveReports = (options: Options, agents: ReadonlyArray<Agent>): Effect.Effect<void, Failure> =>
  Effect.try({
    try: () => {
      const json = Option.getOrUndefined(options.json)
      const earlier = json !== undefined && existsSync(json) ? fromJson(readFileSync(json, "utf8")) : []
      const all = merge(earlier, agents)
      const described = new Map(allGroups.flatMap((group) => group.cases.map((item) => [item.id, item.description])))
      const known = allGroups.filter((group) => all.some((agent) => resultsOf(agent, group).length > 0))
      if (json !== undefined) writeFileSync(json, toJson(all, (id) => described.get(id) ?? ""))
      if (Option.isSome(options.html)) writeFileSync(options.html.value, Html.render(all, known, new Date()))
      if (Option.isSome(options.markdown)) writeFileSync(options.markdown.value, Markdown.render(all, known))
    },
    catch: (error) => failed(`The report could not be written: ${error instanceof Error ? error.message : String(error)}`)
  })

/** Shows and saves the results. Fails if a case failed or was not played. */
const conclude = (
  options: Options,
  cases: ReadonlyArray<Case>,
  agents: ReadonlyArray<Agent>,
  millis: number
): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const style = Style.of(process.stdout)
    const groups = groupsOf(cases)
    let isGood = agents.length > 0
    for (const agent of agents) {
      const counts = count(agent.results.values())
      const missing = cases.length - agent.results.size
      isGood &&= counts.FAILED === 0 && missing === 0 && !(options.strict && counts["NON-STRICT"] > 0)
      write([
        `${style.bold(agent.name)} ${style.dim(`${plural(agent.results.size, "case")} in ${showMillis(millis)}`)}`,
        "",
        table(agent, groups, style),
        "",
        ...remarks(agent, groups, style),
        ...(missing === 0 ? [] : [style.red(`${plural(missing, "case")} not played`)]),
        ""
      ].join("\n"))
    }
    yield* saveReports(options, agents)
    if (!isGood) return yield* failed("")
  })

/** Connects once, so that a missing server is reported once and not by hundreds of cases. */
const probe = (target: Target) =>
  Effect.tryPromise({
    try: async () => (await connect(target, 10_000)).destroy(),
    catch: (error) => {
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined
      const text = error instanceof Error ? error.message : String(error)
      return new Failure({
        status: code === undefined ? status.refused : status.unreachable,
        text: `${target.url}: ${text}`
      })
    }
  })

const asServer = (options: Options, url: string, cases: ReadonlyArray<Case>) =>
  Effect.gen(function*() {
    if (options.insecure && isSecure(url)) process.stderr.write(`${insecureWarning(Style.of(process.stderr))}\n`)
    const subject = { url, tls: yield* tlsOptions(options), headers: options.headers }
    yield* probe(subject)
    const watch = makeWatch(cases.length)
    const started = performance.now()
    const results = new Map<string, Result>()
    const agent = { name: Option.getOrElse(options.agent, () => url), results }
    const play = Effect.promise((signal) =>
      runAll(cases, async (item) => {
        // An interrupted run plays no further case.
        if (signal.aborted) throw new Error("interrupted")
        watch.begin(item)
        const result = await runServerCase(subject, item, runOptions(options))
        results.set(item.id, result)
        watch.result(item, result)
        return result
      }, options.parallel).then(() => undefined, () => undefined)
    )
    const end = Effect.suspend(() => {
      watch.end()
      return conclude(options, cases, [agent], performance.now() - started)
    })
    // An interrupted run still reports its results so far.
    yield* Effect.onInterrupt(play, () => Effect.ignore(end))
    yield* end
  })

const asClient = (options: Options, cases: ReadonlyArray<Case>) =>
  Effect.gen(function*() {
    const watch = makeWatch(cases.length)
    const done = yield* Deferred.make<void>()
    const agents = new Map<string, Map<string, Result>>()
    let started = 0
    yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () =>
          serveClients({
            host: options.host,
            port: options.port,
            cases,
            run: runOptions(options),
            agent: Option.getOrElse(options.agent, () => "client"),
            onBegin: (item) => {
              if (started === 0) started = performance.now()
              watch.begin(item)
            },
            onResult: (name, result, item) => {
              const agent = Option.getOrElse(options.agent, () => name)
              const results = agents.get(agent) ?? new Map<string, Result>()
              agents.set(agent, results.set(item.id, result))
              watch.result(item, result)
            },
            onDone: () => Deferred.doneUnsafe(done, Effect.void)
          }),
        catch: (error) =>
          failed(`Cannot listen on ${options.host}:${options.port}: ${error instanceof Error ? error.message : String(error)}`)
      }).pipe(Effect.tap((host) =>
        Effect.sync(() =>
          watch.line(
            `Waiting for an echo client on ${host.url}: ${plural(cases.length, "connection")}, each a case ` +
              "(or as Autobahn's fuzzing server: /getCaseCount, /runCase?case=1&agent=name, /updateReports)."
          )
        )
      )),
      (host) => Effect.sync(host.close)
    )
    const end = Effect.suspend(() => {
      watch.end()
      const all = [...agents].map(([name, results]): Agent => ({ name, results }))
      return conclude(options, cases, all, started === 0 ? 0 : performance.now() - started)
    })
    yield* Effect.onInterrupt(Deferred.await(done), () => Effect.ignore(end))
    yield* end
  }).pipe(Effect.scoped)

/** Runs the command. */
export const run = (options: Options): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const cases = yield* selection(options)
    if (options.list) return write(cases.map(({ description, id }) => `${id}\t${description}\n`).join(""))
    if (options.client) {
      return Option.isSome(options.url)
        ? yield* usage("give a URL to test a server, or --client to wait for a client, not both")
        : yield* asClient(options, cases)
    }
    if (Option.isNone(options.url)) return yield* usage("give the URL of a server, or --client to wait for a client")
    yield* asServer(options, withScheme(options.url.value), cases)
  })
