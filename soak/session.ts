/** One connection of a soak, from its handshake to its end: it talks, and checks what comes back. */
import { type WebSocket, WebSocketClient, type WebSocketError } from "@effect-ws/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import { patient, problemOf } from "./connections.ts"
import { Ledger } from "./ledger.ts"
import type { Latency, Session } from "./messages.ts"
import { type Body, check, Checker, type Command, make, type Verdict } from "./payload.ts"
import type { Room } from "./pace.ts"
import { between, draws, fragments, makeRandom, pick, type Random } from "./traffic.ts"

/** What the sessions of a process share, and what they tell it. */
export interface Talk {
  readonly url: string
  readonly inFlight: number
  /** Seconds after which an answer does not come any more. */
  readonly patience: number
  readonly idleInterval: number
  /** Open once all are to come to their end. */
  readonly stopping: Latch.Latch
  readonly isStopping: () => boolean
  /** Waits until so much may be sent. */
  readonly pace: (messages: number, bytes: number) => Effect.Effect<void>
  /** The bytes that are not answered. */
  readonly room: Room
  readonly opened: Effect.Effect<void>
  readonly sent: (kind: string, bytes: number) => void
  readonly received: (bytes: number) => void
  readonly took: (latency: Latency, millis: number) => void
  readonly ended: (way: string, session: Session) => void
}

const largeFrom = 16 * 1024

type Way = "closed when all was answered" | "closed at once after its messages" | "closed by the server" | "closed by its scope"

const ways: ReadonlyArray<readonly [number, Way]> = [
  [4, "closed when all was answered"],
  [3, "closed at once after its messages"],
  [3, "closed by the server"],
  [2, "closed by its scope"]
]

class Talker {
  readonly ledger = new Ledger()
  readonly ws: WebSocket.WebSocket
  private readonly talk: Talk
  private readonly key: string
  private readonly random: Random
  private readonly streams: boolean
  private readonly unanswered = new Map<number, { readonly size: number; readonly at: number }>()
  sent = 0
  private wake: (() => void) | undefined

  constructor(ws: WebSocket.WebSocket, talk: Talk, key: string, random: Random, streams: boolean) {
    this.ws = ws
    this.talk = talk
    this.key = key
    this.random = random
    this.streams = streams
  }

  /** Checks what comes back until the connection ends. */
  get reading(): Effect.Effect<void, WebSocket.ReceiveError> {
    const { ws } = this
    if (!this.streams) {
      return Stream.runForEach(ws.batches, (batch) =>
        Effect.sync(() => {
          for (const message of batch) this.take(check(this.key, message), message.length, false)
          this.wake?.()
        }))
    }
    return Effect.forever(Effect.flatMap(ws.receiveStream, (message) => {
      const checker = new Checker(this.key, message._tag === "Text")
      const pieces: Stream.Stream<Body, WebSocket.ReceiveError> = message.fragments
      return Effect.map(Stream.runForEach(pieces, (piece) => Effect.sync(() => checker.push(piece))), () => {
        this.take(checker.end(), checker.length, true)
        this.wake?.()
      })
    }))
  }

  private take(verdict: Verdict, size: number, streamed: boolean): void {
    const { ledger, talk, unanswered } = this
    const seq = verdict._tag === "Intact" ? verdict.seq : ledger.expected
    if (verdict._tag === "Empty") ledger.takeNext(size)
    else if (verdict._tag === "Corrupt") ledger.takeCorrupt(size)
    else ledger.take(verdict.seq, size)
    const sent = unanswered.get(seq)
    if (sent !== undefined) {
      unanswered.delete(seq)
      talk.room.give(sent.size)
      talk.took(streamed ? "streamed" : size >= largeFrom ? "large" : "small", performance.now() - sent.at)
    }
    talk.received(size)
  }

  /** What is not answered will not be. */
  forget(): void {
    for (const { size } of this.unanswered.values()) this.talk.room.give(size)
    this.unanswered.clear()
  }

  /** Waits until at most so many messages are not answered. */
  untilUnanswered(most: number): Effect.Effect<void, string> {
    return Effect.suspend(() => {
      if (this.sent - this.ledger.expected <= most) return Effect.void
      const answered = Effect.callback<void>((resume) => {
        this.wake = () => {
          if (this.sent - this.ledger.expected > most) return
          this.wake = undefined
          resume(Effect.void)
        }
        this.wake()
      })
      return Effect.timeoutOrElse(answered, {
        duration: this.talk.patience * 1000,
        orElse: () => Effect.fail(`${this.sent - this.ledger.expected} messages were not answered within ${this.talk.patience} s`)
      })
    })
  }

  private next(command: Command, style: keyof typeof draws): Body {
    const { body, empty, kind } = command === "c" ? { kind: "asks for a Close", body: "", empty: false } : draws[style](this.random)
    const message = empty ? body : make(this.key, this.sent, command, body)
    this.sent++
    this.talk.sent(kind, message.length)
    return message
  }

  /** Waits until these, the last ones that were made, may go out. */
  private pace(messages: ReadonlyArray<Body>): Effect.Effect<void> {
    const { talk } = this
    const first = this.sent - messages.length
    const size = messages.reduce((sum, { length }) => sum + length, 0)
    return talk.pace(messages.length, size).pipe(
      Effect.andThen(talk.room.take(size, () => {
        const at = performance.now()
        for (const [i, { length }] of messages.entries()) this.unanswered.set(first + i, { size: length, at })
      }))
    )
  }

  private sendFragments(message: Body): Effect.Effect<void, WebSocket.SendError> {
    const { random, ws } = this
    return typeof message === "string"
      ? ws.sendTextStream(Stream.fromIterable(fragments(random, message, 20)))
      : ws.sendBinaryStream(Stream.fromIterable(fragments(random, message, 20)))
  }

  /** Sends something, in one of the ways there are. */
  say(style: keyof typeof draws): Effect.Effect<void, WebSocket.SendError> {
    const { random, ws } = this
    return Effect.suspend(() => {
      const manner = pick(random, [[6, "one"], [2, "several"], [2, "fragments"]] as const)
      if (manner === "several" && style === "messages") {
        const all = Array.from({ length: between(random, 2, 8) }, () => this.next(".", style))
        return Effect.andThen(this.pace(all), ws.sendAll(all))
      }
      const message = this.next(".", style)
      const isCut = manner === "fragments" || style === "streams"
      return Effect.andThen(this.pace([message]), isCut ? this.sendFragments(message) : ws.send(message))
    })
  }

  get pinging(): Effect.Effect<void, WebSocket.SendError | WebSocketError.InvalidArgument | WebSocketError.Unsupported> {
    return Effect.map(this.ws.ping(), (roundTrip) => this.talk.took("ping", Duration.toMillis(roundTrip)))
  }

  askForClose(): Effect.Effect<void, WebSocket.SendError> {
    return Effect.suspend(() => this.ws.send(this.next("c", "messages")))
  }
}

export interface Plan {
  readonly number: number
  readonly epoch: number
  readonly style: keyof typeof draws
  /** Milliseconds that it lives; for ever if it is not to connect again. */
  readonly life: number
  readonly compression: boolean
  readonly seed: number
}

const closing = (talker: Talker, reading: Fiber.Fiber<void, unknown>, way: Way) =>
  Effect.gen(function*() {
    const { ws } = talker
    const expect = (info: { readonly clean: boolean; readonly code: number }, code: number) =>
      info.clean && info.code === code ? Effect.void : Effect.fail(`${way}, but with ${info.code}${info.clean ? "" : ", not cleanly"}`)
    if (way === "closed at once after its messages") return yield* Effect.flatMap(ws.close(4001, way), (info) => expect(info, 4001))
    if (way === "closed by the server") {
      yield* talker.askForClose()
      const exit = yield* Fiber.await(reading)
      const problem = problemOf(exit)
      if (problem !== undefined) return yield* Effect.fail(problem)
      return yield* Effect.flatMap(ws.closed, (info) => expect(info, 4000))
    }
    yield* talker.untilUnanswered(0)
    if (way === "closed when all was answered") yield* Effect.flatMap(ws.close(1000, way), (info) => expect(info, 1000))
  })

/** Runs one connection from its handshake to its end, which `talk.ended` gets, good or bad. */
export const session = (talk: Talk, plan: Plan): Effect.Effect<void, never, WebSocketClient.Connector> =>
  Effect.gen(function*() {
    const { epoch, number, style } = plan
    const key = `${number}.${epoch}`
    const random = makeRandom(plan.seed * 1_000_003 + number * 101 + epoch)
    const way = pick(random, ways)
    const streams = style === "streams"
    const began = performance.now()
    let talker: Talker | undefined
    const exit = yield* Effect.gen(function*() {
      const ws = yield* WebSocketClient.connect(
        `${talk.url}/soak?key=${key}&style=${streams ? "streams" : "messages"}`,
        { compression: plan.compression, ...patient }
      )
      talk.took("connect", performance.now() - began)
      yield* talk.opened
      const mine = talker = new Talker(ws, talk, key, random, streams)
      const reading = yield* Effect.forkChild(mine.reading)
      const until = performance.now() + plan.life
      const talking = Effect.gen(function*() {
        while (!talk.isStopping() && performance.now() < until) {
          if (style === "idle") {
            const wait = talk.idleInterval * 1000 * (0.5 + random())
            yield* Effect.raceFirst(Effect.sleep(Math.min(wait, until - performance.now())), talk.stopping.await)
            if (talk.isStopping()) break
          }
          yield* mine.say(style)
          if (random() < 0.02) yield* mine.pinging
          yield* mine.untilUnanswered(talk.inFlight)
        }
      })
      // Where the connection ends early, so does the reader. A sender that waits for room would then wait in vain, and hold some.
      const ended = Effect.flatMap(Fiber.await(reading), (exit) => Effect.fail(problemOf(exit) ?? "the server closed unasked"))
      yield* Effect.raceFirst(talking, ended)
      yield* closing(mine, reading, way)
    }).pipe(Effect.scoped, Effect.exit)
    talker?.forget()
    const problem = exit._tag === "Success" ? undefined : problemOf(exit) ?? "it ended before its time"
    const hasty = way === "closed at once after its messages"
    talk.ended(way, {
      key,
      sent: talker?.sent ?? 0,
      // A client that closes at once does not wait for answers. The server's account says that all messages arrived.
      counts: (talker?.ledger ?? new Ledger()).counts(hasty || problem !== undefined ? undefined : talker?.sent),
      problem
    })
  })
