/** A feed: the server sends a tick to all connections by its own clock, and half of them read slowly. */
import { setTimeout as sleep } from "node:timers/promises"
import { closeAll, type Flow } from "./flow.ts"
import type { Link } from "./link.ts"

/** What a tick begins with: its number, and when it was sent, in microseconds since 1970. */
interface Tick {
  readonly seq: number
  readonly at: number
}

// Of so many connections that read one is looked into: the times of all would cost more than their messages.
const sampledEvery = 20
// A slow connection takes one read, which empties its receive buffer, and pauses for so long.
const slowMillis = 5000
const turnMillis = 50

/** The messages that count are those to connections that read; of these none may be missing. */
export const ticks = (links: ReadonlyArray<Link>): Flow => {
  const fast = links.filter((_, i) => i % 2 === 0)
  const slow = links.filter((_, i) => i % 2 === 1)
  let messages = 0
  let latencies: Array<number> = []
  let failure: Error | undefined
  for (const link of links) {
    link.onFailure = (error) => {
      failure ??= error
    }
  }
  for (const [i, link] of fast.entries()) {
    link.onMessages = (count) => {
      messages += count
    }
    if (i % sampledEvery > 0) continue
    let last: number | undefined
    link.onPayload = (payload) => {
      const { at, seq } = JSON.parse(payload.toString()) as Tick
      latencies.push(1000 * (performance.timeOrigin + performance.now()) - at)
      if (last !== undefined && seq !== last + 1) failure ??= new Error(`tick ${seq} came after ${last} to a client that reads`)
      last = seq
    }
  }
  for (const link of slow) {
    link.pause()
    link.onMessages = () => link.pause()
  }
  const inTurn = Math.max(1, Math.ceil(slow.length * turnMillis / slowMillis))
  let next = 0
  const timer = setInterval(() => {
    for (let i = 0; i < inTurn; i++) slow[next++ % slow.length]?.resume()
  }, turnMillis)
  return {
    run: async (millis) => {
      const before = messages
      latencies = []
      await sleep(millis)
      if (failure !== undefined) throw failure
      return { messages: messages - before, latencies }
    },
    close: () => {
      clearInterval(timer)
      closeAll(links)()
    }
  }
}
