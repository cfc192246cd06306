/**
 * Runs the tests that Node's undocumented interfaces concern once more, by documented interfaces only. Arguments are
 * handed to vitest; without any, all tests of `packages/node` and `examples` run.
 */
import { bin, exitWith, root, run } from "./lib/commands.ts"

const asked = process.argv.slice(2)
// Topics on Redis rest on none of them, and one browser is enough.
const apart = [
  "packages/node/test/realtime/**",
  "packages/node/test/NodeRedisCluster.test.ts",
  "examples/test/topics*.test.ts",
  "examples/test/firefox.test.ts"
]
const tests = asked.length > 0
  ? asked
  : ["packages/node/test", "examples/test", ...apart.flatMap((files) => ["--exclude", files])]

// The summary of all tests, which `.ci/run` counts, stays what it is.
exitWith(await run(bin("vitest"), ["run", "--reporter=default", ...tests], { cwd: root, env: { EFFECT_WS_PORTABLE: "1" } }))
