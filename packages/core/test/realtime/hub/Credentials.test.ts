import { assert, describe, it } from "@effect/vitest"
import { Topic, Topics } from "@effect-ws/core/realtime"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { TestServer } from "../../../src/testing/TestServer.ts"
import { type Peer, serveAlone, settle } from "../../support/TopicsWire.ts"

interface User {
  readonly name: string
  readonly rooms: ReadonlyArray<string>
}

const Room = Topic.make("room/:id", {
  publication: Schema.Finite,
  signal: Schema.Finite,
  member: Schema.String,
  refusal: Schema.TaggedStruct("NotYours", { room: Schema.String })
})

const notYours = (room: string) => Effect.fail({ _tag: "NotYours" as const, room })

/** Who may do what, which a test can change. */
class Rights extends Context.Service<Rights, { readonly mayPublish: (name: string) => boolean }>()("Rights") {}
const everybody = Rights.of({ mayPublish: () => true })

const rooms = Topics.serve(Room, {
  subscribe: ({ claims, params }: Topics.Request<typeof Room, User>) =>
    claims.rooms.includes(params.id) ? Effect.void : notYours(params.id),
  publish: ({ claims, params, value }: Topics.Request<typeof Room, User> & { readonly value: number }) =>
    Effect.flatMap(Rights, ({ mayPublish }) => mayPublish(claims.name) && value < 100 ? Effect.void : notYours(params.id)),
  join: ({ claims, member, params }: Topics.Request<typeof Room, User> & { readonly member: string }) =>
    member === claims.name && claims.rooms.includes(params.id) ? Effect.void : notYours(params.id)
})

/** `name:rooms:seconds`; without seconds it does not expire. */
const identityOf = (token: string | undefined) =>
  Effect.gen(function*() {
    const [name, ids, seconds] = (token ?? "").split(":")
    if (ids === undefined) return yield* new Topics.Unauthorized({ reason: `no such token: ${name}` })
    if (name === "banned") return yield* new Topics.Unauthorized({ reason: "banned", status: 403 })
    const now = yield* Clock.currentTimeMillis
    return {
      claims: { name, rooms: ids.split(",") },
      expires: seconds === undefined ? undefined : DateTime.makeUnsafe(now + Number(seconds) * 1000)
    }
  })

const fromHeader = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => identityOf(headers["authorization"]))

const byHeader = (options: Topics.HandleOptions = {}) =>
  Effect.provideService(Topics.handle([rooms], { ...options, authenticate: { request: fromHeader } }), Rights, everybody)
const byToken = Effect.provideService(Topics.handle([rooms], { authenticate: { token: identityOf } }), Rights, everybody)

const authenticate = (peer: Peer, token: string, id = 0) => peer.say({ type: "authenticate", id, token })
const ask = (peer: Peer, type: string, more: object = {}) => peer.say({ type, id: 1, topic: "room/a", ...more })

const refusal = (room: string) => ({
  type: "failed" as const, id: 1, code: "refused" as const, message: "the program does not allow it", error: { _tag: "NotYours", room }
})

const closing = (peer: Peer) => Effect.andThen(Effect.ignore(peer.ws.drain), peer.ws.closed)

describe("who may do what", () => {
  it("needs to know the claims that a family expects", () => {
    // @ts-expect-error: the family expects a User, and nothing says who a client is
    assert.isTrue(Effect.isEffect(Topics.handle([rooms])))
    const stranger = { request: Effect.succeed({ claims: { name: "ann" } }) }
    // @ts-expect-error: a User has rooms
    assert.isTrue(Effect.isEffect(Topics.handle([rooms], { authenticate: stranger })))
  })

  it.effect("is decided by the program, with the claims of the connection and services of the program", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a")
      yield* peer.expect("done")
      yield* ask(peer, "subscribe")
      yield* peer.expect("subscribed")
      yield* ask(peer, "subscribe", { topic: "room/b" })
      assert.deepStrictEqual(yield* peer.next, refusal("b"))
      yield* ask(peer, "publish", { key: "1", value: 100 })
      assert.deepStrictEqual(yield* peer.next, refusal("a"))
      yield* ask(peer, "publish", { key: "2", value: 99 })
      assert.sameMembers((yield* peer.arrived).map(({ type }) => type), ["published", "publication"])
      yield* ask(peer, "join", { member: "bob", value: "x" })
      assert.deepStrictEqual(yield* peer.next, refusal("a"))
      yield* ask(peer, "join", { member: "ann", value: "x" })
      yield* peer.expect("done")
      // These have no authorizer of their own: whoever may subscribe may do them.
      for (const type of ["watch", "signal"]) {
        yield* ask(peer, type, { topic: "room/b", value: 1 })
        assert.deepStrictEqual(yield* peer.next, refusal("b"))
      }
    }))

  it.effect("a defect of the program is told to the client as what it is, and ends nothing", () =>
    Effect.gen(function*() {
      const faulty = Topics.serve(Room, { publish: () => Effect.die("a bug"), subscribe: () => Effect.fail(5 as never) })
      const { server } = yield* serveAlone(Topics.handle([faulty]))
      const peer = yield* server.connect
      yield* ask(peer, "publish", { key: "1", value: 1 })
      assert.deepInclude(yield* peer.next, { type: "failed", code: "unavailable" })
      // A refusal that is not the family's.
      yield* ask(peer, "subscribe")
      const { error } = yield* peer.expect("failed")
      assert.isUndefined(error)
      yield* ask(peer, "unsubscribe")
      yield* peer.expect("done")
    }))
})

describe("credentials of the request", () => {
  it.effect("let in, or are refused by a status", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byHeader())
      const dial = (authorization: string) => server.dial({ headers: { authorization } })
      const ws = yield* dial("ann:a")
      assert.include(yield* ws.receive, "welcome")
      for (const [token, status] of [["nobody", 401], ["banned:a", 403]] as const) {
        assert.deepInclude(yield* Effect.flip(dial(token)), { _tag: "HandshakeError", status })
      }
    }))

  it.effect("or by a close, which a page can see", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byHeader({ refuse: "close" }))
      for (const [token, code, reason] of [["nobody", 4401, "no such token: nobody"], ["banned:a", 4403, "banned"]] as const) {
        const ws = yield* server.dial({ headers: { authorization: token } })
        yield* Effect.ignore(ws.drain)
        assert.deepInclude(yield* ws.closed, { code, reason })
      }
      const long = yield* server.dial({ headers: { authorization: "é".repeat(200) } })
      yield* Effect.ignore(long.drain)
      assert.isTrue((yield* long.closed).reason.endsWith("é..."))
    }))

  it.effect("may be left to a token", () =>
    Effect.gen(function*() {
      const route = Topics.handle([rooms], { authenticate: { request: Effect.undefined, token: identityOf } })
      const { server } = yield* serveAlone(Effect.provideService(route, Rights, everybody))
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a")
      yield* peer.expect("done")
    }))

  it.effect("are missing where there is no token either", () =>
    Effect.gen(function*() {
      const route = Topics.handle([rooms], { authenticate: { request: Effect.undefined } })
      const { server } = yield* serveAlone(Effect.provideService(route, Rights, everybody))
      assert.deepInclude(yield* Effect.flip(server.dial()), { _tag: "HandshakeError", status: 401 })
    }))
})

describe("a token in a message", () => {
  it.effect("comes before everything else, and in time", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* ask(peer, "subscribe")
      assert.deepInclude(yield* peer.expect("failed"), { code: "refused", message: "authenticate first" })
      yield* authenticate(peer, "nobody", 5)
      assert.deepInclude(yield* peer.expect("failed"), { id: 5, code: "refused", message: "no such token: nobody" })
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* closing(peer), { code: 4401, reason: "no token arrived in time" })
    }))

  it.effect("decides about what is asked for behind it, in one go", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a")
      yield* ask(peer, "subscribe")
      yield* authenticate(peer, "ann:b")
      yield* ask(peer, "subscribe", { topic: "room/b" })
      const types = (yield* peer.arrived).map(({ type }) => type)
      assert.notInclude(types, "failed")
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
    }))

  it.effect("expires, after a notice; a new one in time goes on", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a:100")
      yield* peer.expect("done")
      yield* ask(peer, "subscribe")
      yield* peer.expect("subscribed")
      yield* TestClock.adjust("69 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* peer.arrived, [{ type: "expiring", after: 30_000 }])
      yield* TestClock.adjust("20 seconds")
      yield* authenticate(peer, "ann:a:100")
      yield* peer.expect("done")
      yield* TestClock.adjust("69 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* server.run(Topics.publish(Room, { id: "a" }, 1))
      yield* peer.expect("publication")
      yield* TestClock.adjust("1 second")
      yield* peer.expect("expiring")
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(yield* closing(peer), { code: 4401, reason: "the credentials have expired" })
    }))

  it.effect("that allows less ends what it allows no more", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a,b")
      yield* peer.expect("done")
      for (const topic of ["room/a", "room/b"]) {
        yield* ask(peer, "subscribe", { topic })
        yield* peer.expect("subscribed")
        yield* ask(peer, "join", { topic, member: "ann", value: "x" })
        yield* peer.expect("done")
      }
      yield* authenticate(peer, "ann:b", 9)
      const ended = yield* peer.expect("ended")
      assert.deepInclude(ended, { topic: "room/a", error: { _tag: "NotYours", room: "a" } })
      yield* peer.expect("done")
      yield* settle
      const present = (id: string) => Effect.map(server.run(Topics.members(Room, { id })), ({ count }) => count)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([yield* present("a"), yield* present("b")], [0, 1])
      yield* server.run(Effect.andThen(Topics.publish(Room, { id: "a" }, 1), Topics.publish(Room, { id: "b" }, 2)))
      assert.deepStrictEqual((yield* peer.arrived).map((one) => one.type === "publication" && one.value), [2])
    }))

  it.effect("that allows less ends presence and watching too, where there is nothing else", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      for (const type of ["join", "watch"]) {
        const peer = yield* server.connect
        yield* authenticate(peer, "ann:a")
        yield* peer.expect("done")
        yield* ask(peer, type, { member: "ann", value: "x" })
        yield* peer.expect("done")
        yield* peer.arrived
        yield* authenticate(peer, "ann:a", 2)
        assert.deepStrictEqual(yield* peer.arrived, [{ type: "done", id: 2 }], "nothing has changed")
        yield* authenticate(peer, "ann:b", 3)
        assert.deepStrictEqual((yield* peer.arrived).map(({ type }) => type), ["ended", "done"])
        yield* TestClock.adjust("1 second")
        yield* peer.arrived
      }
      assert.strictEqual((yield* server.run(Topics.members(Room, { id: "a" }))).count, 0)
    }))

  it.effect("that allows less ends what the program cannot decide, and asks about the rest", () =>
    Effect.gen(function*() {
      let how: "allows" | "dies" | "interrupts" = "allows"
      const faulty = Topics.serve(Room, {
        subscribe: ({ claims, params }: Topics.Request<typeof Room, User>) =>
          Effect.suspend(() => {
            if (how === "allows" || params.id === "c") return Effect.void
            if (claims.rooms.includes(params.id)) return how === "dies" ? Effect.die("a bug") : Effect.interrupt
            return notYours(params.id)
          })
      })
      const { server } = yield* serveAlone(Topics.handle([faulty], { authenticate: { token: identityOf } }))
      for (const fault of ["dies", "interrupts"] as const) {
        how = "allows"
        const peer = yield* server.connect
        yield* authenticate(peer, "ann:a,b,c")
        yield* peer.expect("done")
        for (const id of ["a", "b", "c"]) {
          yield* ask(peer, "subscribe", { topic: `room/${id}` })
          yield* peer.expect("subscribed")
        }
        how = fault
        yield* authenticate(peer, "ann:a", 2)
        assert.deepStrictEqual(yield* peer.arrived, [
          { type: "ended", topic: "room/a", message: "the server failed" },
          { type: "ended", topic: "room/b", message: "the program does not allow it", error: { _tag: "NotYours", room: "b" } },
          { type: "done", id: 2 }
        ] as never)
        for (const id of ["a", "b", "c"]) yield* server.run(Topics.publish(Room, { id }, 1))
        assert.deepStrictEqual((yield* peer.arrived).map((one) => "topic" in one && one.topic), ["room/c"])
      }
    }))

  it.effect("that lives shorter than the notice is told of once, halfway", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a:20")
      yield* peer.expect("done")
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* peer.arrived, [{ type: "expiring", after: 10_000 }])
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* closing(peer), { code: 4401, reason: "the credentials have expired" })
    }))

  it.effect("is refused where none is taken", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(Topics.handle([Topics.serve(Room)]))
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a", 3)
      assert.deepInclude(yield* peer.expect("failed"), { id: 3, code: "refused" })
    }))
})

describe("revoking", () => {
  it.effect("ends what some clients have of a topic", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const [ann, bob] = [yield* server.connect, yield* server.connect]
      for (const [peer, token] of [[ann, "ann:a"], [bob, "bob:a"]] as const) {
        yield* authenticate(peer, token)
        yield* peer.expect("done")
        yield* ask(peer, "subscribe")
        yield* peer.expect("subscribed")
        yield* ask(peer, "watch")
        yield* peer.arrived
      }
      yield* server.run(Topics.revoke(rooms, { id: "a" }, {
        where: ({ name }) => name === "ann",
        reason: "moved on",
        error: { _tag: "NotYours", room: "a" }
      }))
      assert.deepStrictEqual(yield* ann.arrived, [
        { type: "ended", topic: "room/a", message: "moved on", error: { _tag: "NotYours", room: "a" } }
      ] as never)
      yield* server.run(Topics.publish(Room, { id: "a" }, 1))
      yield* server.run(Topics.join(Room, { id: "a" }, "bot", "x"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* ann.arrived, [])
      assert.deepStrictEqual((yield* bob.arrived).map(({ type }) => type), ["publication", "presence"])
      yield* server.run(Topics.revoke(rooms, { id: "b" }))
      assert.deepStrictEqual(yield* bob.arrived, [])
    }))

  it.effect("says so without an error of the program's, and waits for nobody", () =>
    Effect.gen(function*() {
      const served = Topics.serve(Room)
      const route = Topics.handle([served], { outboundHighWaterMark: 1024 })
      const { server } = yield* serveAlone(route, { test: { link: { capacity: 1024 } } })
      const [stalled, other] = [yield* server.connect, yield* server.connect]
      for (const peer of [stalled, other]) {
        yield* ask(peer, "subscribe")
        yield* peer.expect("subscribed")
      }
      const { links } = yield* Effect.provideContext(TestServer, server.context)
      const [link] = yield* links
      yield* Effect.addFinalizer(() => link.reset)
      yield* link.stall("server")
      for (let n = 0; n < 50; n++) yield* server.run(Topics.publish(Room, { id: "a" }, n))
      yield* other.arrived
      yield* server.run(Topics.revoke(served, { id: "a" }))
      assert.deepStrictEqual(yield* other.arrived, [{ type: "ended", topic: "room/a", message: "the program has ended it" }])
      yield* server.run(Topics.publish(Room, { id: "a" }, 50))
      yield* link.resume("server")
      const last = (yield* stalled.arrived).at(-1)
      assert.deepStrictEqual(last, { type: "ended", topic: "room/a", message: "the program has ended it" })
    }))

  it.effect("of connections takes only what a Close can say", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const exit = yield* Effect.exit(server.run(Topics.disconnect(rooms, () => true, { code: 1005 })))
      assert.isTrue(Exit.hasDies(exit))
    }))

  it.effect("that happens while a client subscribes is not missed", () =>
    Effect.gen(function*() {
      let isAllowed = true
      const slow = Topics.serve(Room, {
        subscribe: ({ params }) =>
          Effect.suspend(() => {
            const answer = isAllowed ? Effect.void : notYours(params.id)
            return Effect.andThen(Effect.sleep("1 second"), answer)
          })
      })
      const { server } = yield* serveAlone(Topics.handle([slow]))
      const peer = yield* server.connect
      yield* ask(peer, "subscribe")
      yield* settle
      isAllowed = false
      yield* server.run(Topics.revoke(slow, { id: "a" }))
      yield* TestClock.adjust("1 second")
      yield* settle
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* peer.arrived).map(({ type }) => type), ["subscribed", "ended"])
      yield* server.run(Topics.publish(Room, { id: "a" }, 1))
      assert.deepStrictEqual(yield* peer.arrived, [])
    }))

  it.effect("that happens while a client subscribes ends it where the program cannot decide", () =>
    Effect.gen(function*() {
      let isBroken = false
      const slow = Topics.serve(Room, {
        subscribe: () => Effect.suspend(() => isBroken ? Effect.die("a bug") : Effect.sleep("1 second"))
      })
      const { server } = yield* serveAlone(Topics.handle([slow]))
      const peer = yield* server.connect
      yield* ask(peer, "subscribe")
      yield* settle
      isBroken = true
      yield* server.run(Topics.revoke(slow, { id: "a" }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* peer.arrived).map(({ type }) => type), ["subscribed", "ended"])
      yield* server.run(Topics.publish(Room, { id: "a" }, 1))
      assert.deepStrictEqual(yield* peer.arrived, [])
    }))

  it.effect("that happens while a client subscribes again ends the new subscription too", () =>
    Effect.gen(function*() {
      const slow = Topics.serve(Room, { subscribe: () => Effect.sleep("1 second") })
      const { server } = yield* serveAlone(Topics.handle([slow]))
      const peer = yield* server.connect
      for (let round = 0; round < 2; round++) {
        yield* ask(peer, "subscribe")
        yield* settle
        yield* TestClock.adjust("1 second")
        yield* peer.expect("subscribed")
        yield* ask(peer, "subscribe")
        yield* settle
        yield* server.run(Topics.revoke(slow, { id: "a" }, { reason: "moved on" }))
        const ended = { type: "ended", topic: "room/a", message: "moved on" } as const
        assert.deepStrictEqual(yield* peer.arrived, [ended])
        yield* TestClock.adjust("1 second")
        yield* peer.expect("subscribed")
        assert.deepStrictEqual(yield* peer.arrived, [ended])
        yield* server.run(Topics.publish(Room, { id: "a" }, 1))
        assert.deepStrictEqual(yield* peer.arrived, [])
      }
    }))

  it.effect("of connections closes them, with a code that says whether to come back", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const [ann, bob] = [yield* server.connect, yield* server.connect]
      yield* authenticate(ann, "ann:a")
      yield* ann.expect("done")
      yield* authenticate(bob, "bob:a")
      yield* bob.expect("done")
      const closed = yield* Effect.forkChild(closing(ann), { startImmediately: true })
      yield* server.run(Topics.disconnect(rooms, ({ name }) => name === "ann", { reason: "bye" }))
      assert.deepInclude(yield* Fiber.join(closed), { code: 4403, reason: "bye" })
      assert.deepStrictEqual(yield* bob.arrived, [])
    }))
})
