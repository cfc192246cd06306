/**
 * `effect-ws connect`: talks to a server, from a terminal or from a script.
 */
import { CloseCode, type Message, WebSocketError } from "@effect-ws/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { type ClientFlags, connectOptions, dialer, insecureWarning, isSecure, withScheme } from "../Dial.ts"
import { failed, type Failure } from "../Failure.ts"
import * as Style from "../terminal/Style.ts"
import * as Closing from "../text/Closing.ts"
import { plural, showMillis } from "../text/Quantities.ts"
import * as Input from "./Input.ts"
import * as Prompt from "./Prompt.ts"
import * as Session from "./Session.ts"
import * as View from "./View.ts"

export interface Options extends ClientFlags {
  readonly url: string
  readonly send: ReadonlyArray<string>
  readonly binary: boolean
  readonly json: boolean
  readonly count: Option.Option<number>
  readonly timeout: Option.Option<number>
  readonly keepOpen: boolean
  readonly linger: number
  readonly reconnect: boolean
  readonly ping: Option.Option<number>
  readonly maxSize: number
  readonly verbose: boolean
}

interface Console {
  readonly view: View.View
  /** The messages to send, and the commands that were typed. */
  readonly input: Stream.Stream<Input.Input, never, Stdio.Stdio>
  readonly isPrompt: boolean
  /** Takes the prompt away. */
  readonly end: () => void
}

const nothing = () => {}

const write = (text: string | Uint8Array) => void process.stdout.write(text)
const tell = (line: string) => void process.stderr.write(`${line}\n`)

const makeConsole = (options: Options): Effect.Effect<Console, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { stderr, stdin, stdout } = process
    const pipe = Input.fromPipe(options.binary)
    const showsPerson = stdout.isTTY && !options.json && !options.binary
    if (showsPerson && stdin.isTTY) {
      const style = Style.of(stdout)
      const prompt = yield* Prompt.make(style, Input.complete)
      const columns = () => prompt.columns() - 2
      const help = "/help lists the commands; Ctrl-D closes the connection."
      return {
        view: View.forPerson({ write: prompt.write, style, columns, showControls: options.verbose, help }),
        input: Stream.fromQueue(prompt.lines).pipe(Stream.map(Input.fromLine)),
        isPrompt: true,
        end: prompt.end
      }
    }
    if (options.json) return { view: View.forJson(write), input: pipe, isPrompt: false, end: nothing }
    if (showsPerson) {
      const view = View.forPerson({
        write: (line) => write(`${line}\n`),
        style: Style.of(stdout),
        columns: () => stdout.columns,
        showControls: options.verbose,
        help: undefined
      })
      return { view, input: pipe, isPrompt: false, end: nothing }
    }
    const view = View.forLines({
      out: write,
      err: tell,
      style: Style.of(stderr),
      raw: options.binary,
      isVerbose: options.verbose
    })
    return { view, input: pipe, isPrompt: false, end: nothing }
  })

/** Sends a ping at each interval, and collects the round trips. */
const pinging = (session: Session.Session, view: View.View, interval: number, trips: Array<number>) =>
  Effect.gen(function*() {
    while (true) {
      yield* Effect.ignore(Effect.map(session.ping(), (millis) => {
        trips.push(millis)
        view.answered(millis)
      }))
      yield* Effect.sleep(interval)
    }
  })

/**
 * Waits until the server has answered a ping, which it reads after all earlier messages, and has then been silent for
 * `millis` milliseconds.
 */
const silence = (session: Session.Session, millis: number, lastAt: () => number) =>
  Effect.gen(function*() {
    yield* Effect.ignore(Effect.timeoutOption(session.ping(), 5000))
    const since = performance.now()
    while (true) {
      const left = Math.max(since, lastAt()) + millis - performance.now()
      if (left <= 0) return
      yield* Effect.sleep(left)
    }
  })

const summary = (trips: ReadonlyArray<number>): string => {
  const mean = trips.reduce((sum, trip) => sum + trip, 0) / trips.length
  return `${plural(trips.length, "ping")} answered: least ${showMillis(Math.min(...trips))}, ` +
    `mean ${showMillis(mean)}, most ${showMillis(Math.max(...trips))}`
}

const why = (error: unknown): string => error instanceof Error ? error.message : String(error)

const isLost = (error: unknown): boolean => error instanceof WebSocketError.NotConnected && error.reason !== "Ended"

/**
 * Sends a message. If the connection ends before it has accepted the message, the message is sent on the next connection.
 * Fails only if there is no next one.
 */
export const send = <E>(
  attempt: (message: Message.Message) => Effect.Effect<void, E>,
  view: View.View,
  message: Message.Message
): Effect.Effect<void, E> =>
  Effect.catchIf(attempt(message), isLost, () => {
    view.note("the connection ended before it accepted a message; sending it again")
    // A closing connection accepts no more messages, but it has not been replaced yet.
    return Effect.retry(attempt(message), { while: isLost, schedule: Schedule.spaced(20) })
  })

const act = (session: Session.Session, view: View.View, input: Input.Input): Effect.Effect<void, unknown> => {
  switch (input._tag) {
    case "Send":
      return send(session.send, view, input.message)
    case "Close":
      return Effect.asVoid(session.close(input.code, input.reason))
    case "Say":
      return Effect.sync(() => view.note(input.text))
    case "Ping":
      return session.ping(input.payload).pipe(
        Effect.map(view.answered),
        Effect.catch((error) => Effect.sync(() => view.note(why(error))))
      )
  }
}

/** Connects, once or with `--reconnect` again and again. Without it the prompt appears once the connection is open. */
const open = (options: Options) =>
  Effect.gen(function*() {
    const settings: Session.SessionOptions = {
      url: withScheme(options.url),
      connect: connectOptions(options, { maxMessageSize: options.maxSize }),
      send: options.send,
      style: Style.of(process.stderr)
    }
    if (options.reconnect) {
      const console = yield* makeConsole(options)
      return { console, session: yield* Session.again(settings, console.view) }
    }
    let console: Console | undefined
    const [session] = yield* Session.once(settings, Effect.map(makeConsole(options), (made) => (console = made).view))
    return { console: console!, session }
  })

const conversation = (options: Options) =>
  Effect.gen(function*() {
    const { console, session } = yield* open(options)
    const { input, isPrompt, view } = console
    // However the command ends.
    yield* Effect.addFinalizer(() => Effect.sync(console.end))

    const wanted = Option.getOrElse(options.count, () => Infinity)
    const enough = yield* Deferred.make<void>()
    let received = 0
    let lastAt = 0
    // Messages after the last wanted one are read too, so that the connection can close.
    const reader = yield* Effect.forkChild(Stream.runForEach(session.messages, (message) =>
      Effect.suspend(() => {
        if (received >= wanted) return Effect.void
        received++
        lastAt = performance.now()
        view.received(message)
        return received === wanted ? Deferred.succeed(enough, undefined) : Effect.void
      })))
    const trips: Array<number> = []
    // A close code that was typed is no error, whatever it means.
    let isAsked = false
    if (Option.isSome(options.ping)) yield* Effect.forkChild(pinging(session, view, options.ping.value, trips))

    let isUnsent = false
    // The input has ended, or no more of it can be sent.
    const inputOver = yield* Deferred.make<void>()
    const sending = input.pipe(
      Stream.runForEach((input) => {
        isAsked ||= input._tag === "Close"
        return Effect.tapError(act(session, view, input), () =>
          Effect.sync(() => {
            isUnsent ||= input._tag === "Send"
          }))
      }),
      Effect.ensuring(Deferred.succeed(inputOver, undefined)),
      // The end of the input ends the connection, once the server is silent.
      Effect.andThen(() => {
        if (isPrompt) return Effect.void
        return options.keepOpen || Option.isSome(options.count)
          ? Effect.never
          : silence(session, options.linger, () => lastAt)
      }),
      Effect.catch(() => Effect.never)
    )
    const sender = yield* Effect.forkChild(sending)
    const ended = Effect.raceFirst(
      Effect.raceFirst(Fiber.join(sender), Deferred.await(enough)),
      // A failure of the reader is the command's failure. Otherwise the close code shows how the connection ended.
      Effect.flatMap(Fiber.await(reader), (exit) => Exit.isFailure(exit) ? exit : Effect.void).pipe(
        // Input that has already been read, and cannot be sent any more, is noticed within this time.
        Effect.andThen(isPrompt ? Effect.void : Effect.timeoutOption(Deferred.await(inputOver), 100))
      )
    )
    yield* Option.match(options.timeout, {
      onNone: () => ended,
      onSome: (millis) => Effect.timeoutOption(ended, millis)
    })
    yield* Fiber.interrupt(sender)
    const info = yield* Effect.orDie(session.close(CloseCode.NormalClosure))
    console.end()
    if (trips.length > 0) view.note(summary(trips))
    if (info !== undefined) view.closed(info)

    if (received < wanted && wanted !== Infinity) {
      return yield* failed(`${plural(received, "message")} arrived, ${wanted} ${wanted === 1 ? "was" : "were"} asked for`)
    }
    const isCut = (isUnsent || session.isCutShort()) && !isAsked
    if (wanted === Infinity && isCut) {
      const who = info?.clean === true && info.initiator === "remote" ? "server closed" : "connection ended"
      return yield* failed(`The ${who} before all of the input was sent.`)
    }
    const mayBeLost = yield* session.mayBeLost
    if (wanted === Infinity && mayBeLost > 0) return yield* failed(`In all ${plural(mayBeLost, "message")} may not have arrived.`)
    // With enough messages the command succeeds, however the connection ended.
    const isFine = info !== undefined && (Closing.isFine(info) || (isAsked && info.clean))
    if (wanted === Infinity && !isFine) return yield* failed(info === undefined ? "There was no connection." : "")
  })

/** Runs the command. */
export const run = (options: Options): Effect.Effect<void, Failure, Stdio.Stdio> =>
  Effect.gen(function*() {
    if (options.insecure && isSecure(withScheme(options.url))) tell(insecureWarning(Style.of(process.stderr)))
    const dial = yield* dialer(options)
    yield* Effect.provide(Effect.scoped(conversation(options)), dial)
  })
