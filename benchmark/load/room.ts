/** A chat: each text of a member goes to all the others. */
import { closeAll, type Flow, guarded, startClock } from "./flow.ts"
import type { Link } from "./link.ts"

/**
 * `talkers` members say one text each; when all others have received all of these they say the next. A message counts
 * once for each that receives it.
 */
export const chat = (links: ReadonlyArray<Link>, talkers: number): Flow => ({
  run: async (millis) => {
    let rounds = 0
    let missing = 0
    await guarded(links, millis, (done) => {
      const clock = startClock(millis)
      const say = () => {
        if (clock.over) return done()
        rounds += 1
        missing += talkers * (links.length - 1)
        for (const link of links.slice(0, talkers)) link.send(1)
      }
      for (const link of links) {
        link.onMessages = (count) => {
          missing -= count
          if (missing === 0) say()
        }
      }
      say()
    })
    return { messages: rounds * talkers * (links.length - 1) }
  },
  close: closeAll(links)
})
