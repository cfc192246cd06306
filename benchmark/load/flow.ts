/** What goes over the connections while the clock runs. */
import { type Address, dial } from "./dial.ts"
import type { Link, LinkOptions } from "./link.ts"

/** What one stretch of a flow came to. */
export interface Ran {
  readonly messages: number
  /** Microseconds that messages took, where the flow has a fixed rate. */
  readonly latencies?: ReadonlyArray<number>
}

/** Runs for a time; resolves once nothing is on its way any more. */
export interface Flow {
  readonly run: (millis: number) => Promise<Ran>
  readonly close: () => void
}

const drainMillis = 15_000

/** Rejects when a connection fails, or when messages stay away. */
export const guarded = (links: ReadonlyArray<Link>, millis: number, body: (done: () => void) => void): Promise<void> =>
  new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("messages did not come back")), millis + drainMillis)
    const settle = (act: () => void) => {
      clearTimeout(timer)
      act()
    }
    for (const link of links) link.onFailure = (error) => settle(() => reject(error))
    const failed = links.find(({ failure }) => failure !== undefined)
    if (failed !== undefined) return settle(() => reject(failed.failure!))
    body(() => settle(resolve))
  })

/** A clock that only says whether the time is over. It is read for each message, so it has to cost nothing. */
export const startClock = (millis: number): { over: boolean } => {
  const clock = { over: false }
  setTimeout(() => {
    clock.over = true
  }, millis)
  return clock
}

export const closeAll = (links: ReadonlyArray<Link>) => () => {
  for (const link of links) link.destroy()
}

/** Keeps `outstanding` messages on their way on each connection; what comes back is sent anew. */
export const echo = (links: ReadonlyArray<Link>, outstanding: number): Flow => ({
  run: async (millis) => {
    let total = 0
    let busy = links.length
    await guarded(links, millis, (done) => {
      const clock = startClock(millis)
      for (const link of links) {
        link.onMessages = (count) => {
          total += count
          if (!clock.over) link.send(count)
          else if (link.inFlight === 0 && --busy === 0) done()
        }
        link.send(outstanding)
      }
    })
    return { messages: total }
  },
  close: closeAll(links)
})

/**
 * The first connection sends, all receive. The next message is sent when all have one. A message counts once for each
 * that receives it.
 */
export const broadcast = (links: ReadonlyArray<Link>, outstanding: number): Flow => {
  const sender = links[0]!
  return {
    run: async (millis) => {
      let sent = 0
      let complete = 0
      const received = new Map<Link, number>(links.map((link) => [link, 0]))
      // How many connections have each message that is on its way.
      const reached: Array<number> = []
      await guarded(links, millis, (done) => {
        const clock = startClock(millis)
        const send = () => {
          while (!clock.over && sent - complete < outstanding) {
            reached[sent % outstanding] = 0
            sent += 1
            sender.send(1)
          }
          if (clock.over && sent === complete) done()
        }
        const onMessages = (count: number, link: Link) => {
          const first = received.get(link)!
          received.set(link, first + count)
          const before = complete
          for (let i = first; i < first + count; i++) {
            const slot = i % outstanding
            reached[slot]! += 1
            if (reached[slot] === links.length) complete += 1
          }
          if (complete > before) send()
        }
        for (const link of links) link.onMessages = onMessages
        send()
      })
      return { messages: sent * links.length }
    },
    close: closeAll(links)
  }
}

/** Opens connections and closes them again with the closing handshake, `atOnce` beside each other. */
export const upgrades = (address: Address, atOnce: number, options: LinkOptions): Flow => {
  const once = async (): Promise<void> => {
    const link = await dial(address, options)
    await new Promise<void>((resolve, reject) => {
      link.onFailure = reject
      link.onClosed = resolve
      link.sendClose()
    })
  }
  return {
    run: async (millis) => {
      const end = performance.now() + millis
      let total = 0
      const worker = async () => {
        while (performance.now() < end) {
          await once()
          total += 1
        }
      }
      await Promise.all(Array.from({ length: atOnce }, worker))
      return { messages: total }
    },
    close: () => {}
  }
}

/** Opens many connections, some at a time. */
export const open = async (
  count: number,
  address: Address,
  options: (index: number) => LinkOptions
): Promise<ReadonlyArray<Link>> => {
  const links: Array<Link> = []
  while (links.length < count) {
    const batch = Array.from({ length: Math.min(64, count - links.length) }, (_, i) => links.length + i)
    links.push(...await Promise.all(batch.map((index) => dial(address, options(index)))))
  }
  return links
}
