/** Runs all cases of the conformance suite over HTTP/2. `npm test` runs a sample of them. */
import { bin, exitWith, root, run } from "./lib/commands.ts"

const suite = "packages/node/test/conformance/Http2.test.ts"
exitWith(await run(bin("vitest"), ["run", "--reporter=default", suite, ...process.argv.slice(2)], { cwd: root, env: { HTTP2_CASES: "all" } }))
