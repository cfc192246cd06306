/** A Redis for the programs of a test. */
import { Effect, Exit, Scope } from "effect"
import { onTestFinished, type TestContext } from "vitest"
import * as RedisServer from "../../packages/node/test/support/RedisServer.ts"

/** Starts it, until the test is over; where there is none the test is skipped and says so. */
export const startRedis = async (context: TestContext): Promise<RedisServer.RedisServer> => {
  if (RedisServer.missing !== undefined) return context.skip(RedisServer.missing)
  const scope = Scope.makeUnsafe()
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return await Effect.runPromise(Scope.provide(RedisServer.make(), scope))
}
