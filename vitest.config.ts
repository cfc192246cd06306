import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** The slowest first, so that none of them is left to one worker at the end. */
const slow = [
  "examples/test/topics.test.ts",
  "examples/test/board-page.test.ts",
  "packages/node/test/realtime/RedisFaults.test.ts",
  "packages/node/test/realtime/RedisPresence.test.ts",
  "examples/test/runtimes/promises.test.ts",
  "examples/test/topics-redis.test.ts",
  "packages/node/test/interop/Compression.test.ts",
  "packages/node/test/conformance/Conformance.test.ts",
  "packages/node/test/interop/Interop.test.ts",
  "packages/node/test/cli/Connect.test.ts",
  "packages/node/test/cli/Conformance.test.ts",
  "packages/node/test/cli/Inspect.test.ts",
  "examples/test/chat.test.ts",
  "examples/test/chat-page.test.ts",
  "examples/test/firefox.test.ts",
  "packages/node/test/NodeRedisCluster.test.ts",
  "packages/node/test/conformance/Runner.test.ts",
  "packages/node/test/Compression.test.ts",
  "packages/node/test/Soak.test.ts",
  "examples/test/echo-server.test.ts",
  "examples/test/rpc.test.ts",
  "packages/node/test/Bench.test.ts",
  "packages/node/test/Backpressure.test.ts",
  "packages/node/test/Memory.test.ts"
].map((file) => `${import.meta.dirname.replaceAll("\\", "/")}/${file}`)

for (const file of slow) if (!existsSync(file)) throw new Error(`vitest.config.ts: there is no ${file}`)

/** What a clone that never ran the tests does not know: vitest starts with what took long before, or is long. */
class SlowFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = slow.indexOf(moduleId)
      return at >= 0 ? at : slow.length
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

// The rooms without effects, I/O and time: each is covered by its own tests alone, see `npm run coverage`.
const rooms = ["codec", "deflate", "handshake", "http", "memory", "protocol"].map((room) => `packages/core/src/${room}/**`)

// Workspace packages are resolved to their sources, by the `exports` that they have in development.
export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/test/**/*.test.ts"],
    sequence: { sequencer: SlowFirst },
    // The summary is what `.ci/run` counts.
    reporters: ["default", "json"],
    outputFile: { json: "build/test-results.json" },
    allowOnly: false,
    passWithNoTests: false,
    testTimeout: 20_000,
    // Most of the time of a program that a test starts goes into compiling what it imports.
    env: { NODE_COMPILE_CACHE: `${import.meta.dirname}/build/compiled` },
    coverage: {
      provider: "v8",
      include: rooms.map((room) => `${room}/*.ts`),
      reporter: ["text", "html"],
      reportsDirectory: "build/coverage",
      thresholds: Object.fromEntries(
        rooms.map((room) => [room, { branches: 100, functions: 100, lines: 100, statements: 100 }])
      )
    },
    // Many tests wait for sockets and child processes, so it takes three workers to fill two cores.
    maxWorkers: Math.ceil(1.5 * availableParallelism())
  }
})
