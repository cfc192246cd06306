/** Firefox for the tests of pages: driven by WebDriver BiDi, over a client of this library. */
import { type WebSocket, WebSocketClient } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import { Data, Deferred, Effect, Exit, Scope, Stream } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, type TestContext } from "vitest"

/** `FIREFOX_PATH` names one that is elsewhere. */
const program = process.env["FIREFOX_PATH"] ?? "firefox-esr"

/** Why there is no Firefox here, or `undefined` if there is one. */
const missing: string | undefined = (() => {
  try {
    execFileSync("which", [program], { stdio: "ignore" })
    return undefined
  } catch {
    return `${program} is not installed (FIREFOX_PATH names one that is elsewhere)`
  }
})()

// What runs by WebDriver turns most of this off by itself; a test reaches nothing beyond its own servers in any case.
const preferences = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.region.network.url": "",
  "browser.safebrowsing.downloads.remote.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.search.update": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.systemAddon.update.enabled": false,
  "extensions.update.enabled": false,
  "media.gmp-manager.updateEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.dns.disablePrefetch": true,
  "network.predictor.enabled": false,
  "services.settings.server": "data:,#off",
  "toolkit.telemetry.server": ""
}

/** A page of its own: its storage and cookies are nobody else's. */
export interface FirefoxPage {
  readonly goto: (url: string) => Promise<void>
  /** Runs a script in the page. Its value, or that of its promise, has to be data. */
  readonly evaluate: (script: string) => Promise<unknown>
  /** Waits until an expression is true in the page. */
  readonly until: (expression: string) => Promise<void>
  /** Presses keys, one after another: characters, or keys by their code in WebDriver. */
  readonly type: (keys: string) => Promise<void>
  readonly close: () => Promise<void>
}

/** The keys that tests press, by their code in WebDriver. */
export const Key = { enter: "\uE007", tab: "\uE004" }

/** An answer to a command, or an event, which has no `id`. */
interface Answer {
  readonly type: "success" | "error" | "event"
  readonly id: number | null
  readonly result: unknown
  readonly error: string
  readonly message: string
}

class FirefoxError extends Data.TaggedError("FirefoxError")<{ readonly message: string }> {}

interface Evaluated {
  readonly exceptionDetails?: { readonly text: string }
  readonly result: { readonly value?: string }
}

const hasEnded = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) resume(Effect.void)
    else child.once("exit", () => resume(Effect.void))
  })

/** Starts Firefox with an empty profile; gives the address that it is driven at. */
const start = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "firefox-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`)
  writeFileSync(join(folder, "user.js"), lines.join(""))
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(program, ["--headless", "--no-remote", "--remote-debugging-port=0", "--profile", folder], {
        // What it writes beside its profile goes with it.
        env: { ...process.env, HOME: folder, XDG_CACHE_HOME: folder, XDG_CONFIG_HOME: folder },
        stdio: ["ignore", "ignore", "pipe"]
      })
    ),
    (child) =>
      hasEnded(child).pipe(
        Effect.timeoutOption("5 seconds"),
        Effect.andThen(Effect.sync(() => child.kill("SIGKILL"))),
        Effect.andThen(hasEnded(child))
      )
  )
  return yield* Effect.callback<string>((resume) => {
    let output = ""
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString()
      const listening = /WebDriver BiDi listening on (ws:\/\/\S+)/.exec(output)
      if (listening !== null) resume(Effect.succeed(`${listening[1]}/session`))
    })
    child.once("error", (error) => resume(Effect.die(error)))
    child.once("exit", () => resume(Effect.die(new Error(`${program} ended: ${output}`))))
  })
})

/** A session with it: commands, and their answers. */
const make = Effect.gen(function*() {
  const ws = yield* WebSocketClient.connect(yield* start)
  const answers = new Map<number, Deferred.Deferred<Answer>>()
  let ids = 0
  yield* Effect.forkScoped(Stream.runForEach(ws.messages, (message) => {
    const answer = JSON.parse(String(message)) as Answer
    const asked = answers.get(answer.id ?? 0)
    return asked === undefined ? Effect.void : Deferred.succeed(asked, answer)
  }))
  const ended = Effect.flatMap(ws.closed, ({ code }) => new FirefoxError({ message: `${program} is gone (${code})` }))
  /** A command; what its answer looks like is for the caller to know. */
  const command = <A>(method: string, params: Readonly<Record<string, unknown>> = {}): Effect.Effect<A, FirefoxError | WebSocket.SendError> =>
    Effect.gen(function*() {
      const id = ++ids
      const asked = yield* Deferred.make<Answer>()
      answers.set(id, asked)
      yield* ws.send(JSON.stringify({ id, method, params }))
      const answer = yield* Effect.raceFirst(Deferred.await(asked), ended).pipe(
        Effect.ensuring(Effect.sync(() => answers.delete(id)))
      )
      if (answer.type === "error") return yield* new FirefoxError({ message: `${method}: ${answer.error}: ${answer.message}` })
      return answer.result as A
    })
  yield* command("session.new", { capabilities: {} })
  yield* Effect.addFinalizer(() => Effect.ignore(command("browser.close")))
  return { command }
})

const openPage = ({ command }: Effect.Success<typeof make>) =>
  Effect.gen(function*() {
    const { userContext } = yield* command<{ readonly userContext: string }>("browser.createUserContext")
    // In a window of its own, since the timers of a tab that is not seen are slow.
    const { context } = yield* command<{ readonly context: string }>("browsingContext.create", {
      type: "window",
      userContext
    })
    const evaluate = (script: string) =>
      Effect.gen(function*() {
        // As JSON, since values have types of their own in WebDriver.
        const expression = `Promise.resolve((0, eval)(${JSON.stringify(script)})).then((value) => JSON.stringify(value))`
        const { exceptionDetails, result } = yield* command<Evaluated>("script.evaluate", {
          expression,
          target: { context },
          awaitPromise: true
        })
        if (exceptionDetails !== undefined) return yield* new FirefoxError({ message: exceptionDetails.text })
        return result.value === undefined ? undefined : JSON.parse(result.value) as unknown
      })
    const type = (keys: string) =>
      command("input.performActions", {
        context,
        actions: [{
          type: "key",
          id: "keyboard",
          actions: [...keys].flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }])
        }]
      })
    const until = (expression: string): ReturnType<typeof evaluate> =>
      Effect.flatMap(evaluate(`Boolean(${expression})`), (holds) =>
        holds === true ? Effect.void : Effect.delay(Effect.suspend(() => until(expression)), 50))
    const page: FirefoxPage = {
      goto: (url) => Effect.runPromise(Effect.asVoid(command("browsingContext.navigate", { context, url, wait: "complete" }))),
      evaluate: (script) => Effect.runPromise(evaluate(script)),
      until: (expression) =>
        Effect.runPromise(Effect.asVoid(until(expression)).pipe(
          Effect.timeout("30 seconds"),
          Effect.catchTag("TimeoutError", () => new FirefoxError({ message: `not in time: ${expression}` }))
        )),
      type: (keys) => Effect.runPromise(Effect.asVoid(type(keys))),
      close: () => Effect.runPromise(Effect.asVoid(command("browser.removeUserContext", { userContext })))
    }
    return page
  })

const scope = Scope.makeUnsafe()
let running: Promise<Effect.Success<typeof make>> | undefined
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

/** Opens a page of Firefox, which is started once; where there is none the test is skipped and says so. */
export const openFirefox = async (context: TestContext): Promise<FirefoxPage> => {
  if (missing !== undefined) return context.skip(missing)
  running ??= Effect.runPromise(make.pipe(Scope.provide(scope), Effect.provide(NodeWebSocketClient.layer)))
  return await Effect.runPromise(openPage(await running))
}
