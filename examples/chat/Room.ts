/**
 * The room: who is there and what was said. It knows nothing of sockets; whoever
 * joins gets a seat with an inbox.
 */
import { Contract } from "@effect-ws/core"
import { Clock, Context, DateTime, Duration, Effect, Layer, Queue, Schedule, Schema, Stream } from "effect"
import type { Scope } from "effect"
import { Chat, type FromServer, type Person, type Said } from "./Protocol.ts"

const capacity = 200
const historyLength = 50
const inboxLength = 256

/** No seat is left. */
export class RoomFull extends Schema.TaggedError<RoomFull>()("RoomFull", {}) {
  override get message() {
    return `The room is full (${capacity} people)`
  }
}

/** A place in the room. */
export interface Seat {
  /** The name that was given: the one asked for, or that with a number. */
  readonly name: string
  /** Everything this seat receives. It begins with `Welcome`. */
  readonly inbox: Stream.Stream<Contract.Prepared<FromServer>>
  /** Says something to everybody, this seat included. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Tells this seat alone that something was not accepted. */
  readonly complain: (text: string) => Effect.Effect<void>
  /** Notes the latest round trip. */
  readonly measured: (roundTrip: Duration.Duration) => Effect.Effect<void>
}

interface Member {
  readonly name: string
  readonly inbox: Queue.Queue<Contract.Prepared<FromServer>>
  latencyMillis: number | null
}

export class Room extends Context.Service<Room, {
  /** Takes a seat, which is left when the scope closes. */
  readonly join: (name: string) => Effect.Effect<Seat, RoomFull, Scope.Scope>
}>()("effect-ws/examples/chat/Room") {
  static readonly layer = Layer.effect(
    Room,
    Effect.gen(function*() {
      // Every change below is one synchronous step, so nobody sees half of it.
      const members = new Map<string, Member>()
      const history: Array<Said> = []
      const opened = yield* Clock.currentTimeMillis
      let said = 0

      // An inbox slides: somebody who reads too slowly misses the oldest messages instead
      // of holding up everybody else, or filling the server's memory.
      const tell = (member: Member, message: Contract.Prepared<FromServer>) => Queue.offerUnsafe(member.inbox, message)

      // Encoded once, however many listen.
      const tellAll = (message: FromServer) => {
        const prepared = Contract.prepare(Chat, message)
        for (const member of members.values()) tell(member, prepared)
      }

      const people = (): ReadonlyArray<Person> =>
        Array.from(members.values(), ({ latencyMillis, name }) => ({ name, latencyMillis }))

      const say = (name: string, text: string) =>
        Effect.map(DateTime.now, (at) => {
          const message: Said = { _tag: "Said", id: `${opened}-${said++}`, name, text, at }
          history.push(message)
          if (history.length > historyLength) history.shift()
          tellAll(message)
        })

      const enter = Effect.fnUntraced(function*(wanted: string) {
        const inbox = yield* Queue.sliding<Contract.Prepared<FromServer>>(inboxLength)
        const at = yield* DateTime.now
        if (members.size >= capacity) return yield* new RoomFull()
        const name = freeName(wanted, members)
        const member: Member = { name, inbox, latencyMillis: null }
        tellAll({ _tag: "Joined", name, at })
        members.set(keyOf(name), member)
        tell(member, Contract.prepare(Chat, { _tag: "Welcome", name, people: people(), history: [...history] }))
        tellAll({ _tag: "People", people: people() })
        return member
      })

      const leave = (member: Member) =>
        Effect.map(DateTime.now, (at) => {
          members.delete(keyOf(member.name))
          tellAll({ _tag: "Left", name: member.name, at })
          tellAll({ _tag: "People", people: people() })
        })

      // Latencies change all the time; two seconds are often enough for everybody's.
      yield* Effect.sync(() => tellAll({ _tag: "People", people: people() })).pipe(
        Effect.repeat(Schedule.spaced("2 seconds")),
        Effect.forkScoped
      )

      return Room.of({
        join: (wanted) =>
          Effect.map(Effect.acquireRelease(enter(wanted), leave), (member): Seat => ({
            name: member.name,
            inbox: Stream.fromQueue(member.inbox),
            say: (text) => say(member.name, text),
            complain: (text) => Effect.sync(() => tell(member, Contract.prepare(Chat, { _tag: "Problem", text }))),
            measured: (roundTrip) =>
              Effect.sync(() => {
                member.latencyMillis = Math.round(Duration.toMillis(roundTrip) * 10) / 10
              })
          }))
      })
    })
  )
}

// "Ada", "ada" and a look-alike in full-width letters are one name.
const keyOf = (name: string) => name.normalize("NFKC").toLowerCase()

const freeName = (wanted: string, members: ReadonlyMap<string, Member>): string => {
  let name = wanted
  for (let n = 2; members.has(keyOf(name)); n++) name = `${wanted} ${n}`
  return name
}
