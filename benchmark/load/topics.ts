/** One topic: what a publisher sends goes to all that have joined, by the messages of the system that is measured. */
import { randomBytes } from "node:crypto"
import type { Content } from "./contents.ts"
import type { Address } from "./dial.ts"
import { closeAll, type Flow, guarded, startClock } from "./flow.ts"
import type { Link } from "./link.ts"

/** How a system of topics is spoken to. */
export interface Dialect {
  readonly path: string
  readonly subprotocol?: string
  /** What a connection sends to join, if that is not done by connecting. */
  readonly join?: (topic: string) => ReadonlyArray<string>
  /** How the answer to it begins. */
  readonly joined?: string
  readonly publish: (topic: string, text: string) => string
  /** How a delivery begins; everything, if nothing is said. */
  readonly delivery: string
  /** What a call is written as, where it is not Effect RPC's. */
  readonly call?: Content
  /** What a message has to be answered with. */
  readonly answer?: { readonly to: string; readonly by: string }
}

let keys = 0

export const dialects = {
  /** `effect-ws.topics.v1`, see docs/topics-protocol.md. */
  topics: {
    path: "/",
    subprotocol: "effect-ws.topics.v1+json",
    join: (topic) => [JSON.stringify({ type: "subscribe", id: 0, topic })],
    joined: `{"type":"subscribed"`,
    publish: (topic, value) => JSON.stringify({ type: "publish", id: 1 + (keys % 1000), topic, key: `k${process.pid}-${keys++}`, value }),
    delivery: `{"type":"publication"`
  },
  /** Version 4 of Engine.IO, version 5 of Socket.IO; `benchmark/peers/socketio-server.ts` lets all join on their own. */
  "socket.io": {
    path: "/socket.io/?EIO=4&transport=websocket",
    join: () => ["40"],
    joined: "40",
    publish: (_, value) => `42${JSON.stringify(["say", value])}`,
    delivery: "42",
    call: "ack",
    answer: { to: "2", by: "3" }
  },
  /** A message as it is, to all connections. */
  plain: { path: "/", publish: (_, text) => text, delivery: "" }
} satisfies Readonly<Record<string, Dialect>>

export const dialectOf = ({ dialect = "plain" }: { readonly dialect?: keyof typeof dialects }): Dialect => dialects[dialect]

/** Where a system of topics is, on its server. */
export const reach = (address: Address, { path, subprotocol }: Dialect): Address => ({ ...address, path, subprotocol })

/** Lets connections join, and waits until all have been told so. */
export const join = async (links: ReadonlyArray<Link>, dialect: Dialect, topic: string): Promise<void> => {
  if (dialect.join === undefined) return
  let missing = links.length
  await guarded(links, 0, (done) => {
    for (const link of links) {
      link.onPayload = (payload) => {
        if (!begins(payload, Buffer.from(dialect.joined ?? ""))) return
        link.onPayload = undefined
        if (--missing === 0) done()
      }
      for (const text of dialect.join!(topic)) link.sendText(text)
    }
  })
  // The answers were counted as answers to messages.
  for (const link of links) link.inFlight = 0
}

const begins = (payload: Buffer, prefix: Buffer): boolean => payload.subarray(0, prefix.length).equals(prefix)

/**
 * `publisher` keeps so many publications on their way; the next one is sent when all `members` have one. A message
 * counts once for each that receives it.
 */
export const topic = (
  publisher: Link,
  members: ReadonlyArray<Link>,
  { dialect, outstanding, size, topic }: {
    readonly dialect: Dialect
    readonly outstanding: number
    readonly size: number
    readonly topic: string
  }
): Flow => {
  const delivery = Buffer.from(dialect.delivery)
  const texts = Array.from({ length: outstanding }, () => randomBytes(Math.ceil(size / 2)).toString("hex").slice(0, size))
  let isCompared = true
  return {
    run: async (millis) => {
      let sent = 0
      let complete = 0
      const received = new Map<Link, number>(members.map((link) => [link, 0]))
      const reached: Array<number> = []
      await guarded([publisher, ...members], millis, (done) => {
        const clock = startClock(millis)
        const send = () => {
          while (!clock.over && sent - complete < outstanding) {
            reached[sent % outstanding] = 0
            publisher.sendText(dialect.publish(topic, texts[sent % outstanding]!))
            sent += 1
          }
          if (clock.over && sent === complete) done()
        }
        const answer = (payload: Buffer, link: Link) => {
          if (dialect.answer !== undefined && payload.toString("latin1") === dialect.answer.to) link.sendText(dialect.answer.by)
        }
        publisher.onPayload = answer
        for (const member of members) {
          member.onPayload = (payload, link) => {
            if (!begins(payload, delivery)) return answer(payload, link)
            const index = received.get(link)!
            received.set(link, index + 1)
            if (isCompared && !payload.includes(texts[index % outstanding]!)) link.onFailure(new Error("a delivery is another one"))
            const slot = index % outstanding
            reached[slot]! += 1
            if (reached[slot] === members.length) {
              complete += 1
              send()
            }
          }
        }
        send()
      })
      isCompared = false
      return { messages: sent * members.length }
    },
    close: closeAll([publisher, ...members])
  }
}

/** Publishes, one after the other, and resolves with the position before them all. */
export const publishAll = async (publisher: Link, name: string, count: number, size: number): Promise<{ readonly epoch: string; readonly offset: number }> => {
  const text = "x".repeat(size)
  let first: { readonly epoch: string; readonly offset: number } | undefined
  let answered = 0
  await guarded([publisher], 0, (done) => {
    const publish = () => publisher.sendText(dialects.topics.publish(name, text))
    publisher.onPayload = (payload) => {
      const { position, type } = JSON.parse(payload.toString()) as {
        readonly type: string
        readonly position: { readonly epoch: string; readonly offset: number }
      }
      if (type !== "published") return
      first ??= { epoch: position.epoch, offset: position.offset - 1 }
      answered += 1
      if (answered === count) done()
      else publish()
    }
    publish()
  })
  return first!
}

/** All come back at once behind a position, and wait until they have what they missed, in order and without a hole. */
export const recover = (
  links: ReadonlyArray<Link>,
  name: string,
  since: { readonly epoch: string; readonly offset: number },
  missed: number
): Promise<void> => {
  let busy = links.length
  return guarded(links, 60_000, (done) => {
    for (const link of links) {
      let last = since.offset
      link.onPayload = (payload) => {
        const { offset, type } = JSON.parse(payload.toString()) as { readonly type: string; readonly offset: number }
        if (type === "gap") return link.onFailure(new Error("a client that came back got a gap"))
        if (type !== "publication") return
        if (offset !== last + 1) return link.onFailure(new Error(`publication ${offset} came after ${last}`))
        last = offset
        if (last === since.offset + missed && --busy === 0) done()
      }
      link.sendText(JSON.stringify({ type: "subscribe", id: 0, topic: name, since }))
    }
  })
}

/** All of `members` join a topic at once, and `watching` are told, each by one list and what changes after it. */
export const become = async (members: ReadonlyArray<Link>, watching: ReadonlyArray<Link>, name: string): Promise<void> => {
  const told = new Map(watching.map((link) => [link, { lists: 0, count: -1 }]))
  const parse = (payload: Buffer) => JSON.parse(payload.toString()) as { readonly type: string; readonly full: boolean; readonly count: number }
  let joined = 0
  let known: () => void
  const all = [...members, ...watching]
  const watch = (done: () => void) => {
    known = done
    for (const link of watching) {
      link.onPayload = (payload) => {
        const { count, full, type } = parse(payload)
        if (type === "failed") return link.onFailure(new Error("watching was refused"))
        if (type !== "presence") return
        const one = told.get(link)!
        one.count = count
        if (full && ++one.lists > 1) return link.onFailure(new Error("the list was sent a second time"))
        known()
      }
      link.sendText(JSON.stringify({ type: "watch", id: 0, topic: name }))
    }
  }
  const isKnown = (count: number) => joined === count && watching.every((link) => told.get(link)!.count === count)
  await guarded(all, 0, (done) => watch(() => isKnown(0) && done()))
  await guarded(all, 0, (done) => {
    known = () => isKnown(members.length) && done()
    for (const [index, link] of members.entries()) {
      link.onPayload = (payload) => {
        if (parse(payload).type !== "done") return link.onFailure(new Error("a member was refused"))
        joined += 1
        known()
      }
      link.sendText(JSON.stringify({ type: "join", id: 0, topic: name, member: `user-${index}`, value: { name: `somebody ${index}` } }))
    }
  })
  for (const link of all) link.inFlight = 0
}
