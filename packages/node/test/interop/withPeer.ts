import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import type { Found } from "./peer.ts"

interface Running {
  readonly stop: () => Promise<void>
}

const startTimeout = 40_000

/** Starts the peer for its tests; without one there is a single test, which says why it is skipped. */
export const withPeer = <A extends Running>(title: string, found: Found<A>, tests: (peer: () => A) => void): void => {
  describe(`${title}: ${found.name}`, () => {
    if (found.missing !== undefined) {
      it("is there", (context) => context.skip(found.missing))
      return
    }
    let peer: A | undefined
    beforeAll(async () => {
      peer = await found.start()
    }, startTimeout)
    afterAll(() => peer?.stop())
    tests(() => peer!)
  })
}
