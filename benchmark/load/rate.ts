/** Messages at a fixed rate, and how long each took. */
import { closeAll, type Flow, guarded } from "./flow.ts"
import type { Link } from "./link.ts"

/**
 * Sends `perSecond` messages, to one connection after the other, whether or not earlier ones were answered. A latency
 * begins when its message was *due*: where the server, or the generator, is late, all messages that had to wait for it count as
 * late, too ("coordinated omission" leaves them out).
 */
export const atRate = (links: ReadonlyArray<Link>, perSecond: number): Flow => ({
  run: async (millis) => {
    const latencies: Array<number> = []
    const due = new Map<Link, { times: Array<number>; next: number }>(links.map((link) => [link, { times: [], next: 0 }]))
    const total = Math.max(1, Math.floor(perSecond * millis / 1000))
    const step = 1000 / perSecond
    await guarded(links, millis, (done) => {
      const begin = performance.now()
      let sent = 0
      let failed = false
      for (const link of links) {
        const fail = link.onFailure
        link.onFailure = (error) => {
          failed = true
          fail(error)
        }
        const mine = due.get(link)!
        link.onMessages = (count) => {
          const now = performance.now()
          for (let i = 0; i < count; i++) latencies.push(1000 * (now - mine.times[mine.next++]!))
          if (latencies.length === total) done()
        }
      }
      // Spins: a timer would be late by a millisecond.
      const send = () => {
        const until = Math.min(total, Math.floor((performance.now() - begin) / step) + 1)
        for (; sent < until; sent++) {
          const link = links[sent % links.length]!
          due.get(link)!.times.push(begin + sent * step)
          link.send(1)
        }
        if (sent < total && !failed) setImmediate(send)
      }
      send()
    })
    return { messages: total, latencies }
  },
  close: closeAll(links)
})
