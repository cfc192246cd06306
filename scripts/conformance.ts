/**
 * The conformance suite in full: groups 12 and 13 send a thousand messages a case, as published, where `npm test` sends
 * a sample. It takes half an hour or so and writes docs/conformance.md.
 */
import { bin, exitWith, root, run } from "./lib/commands.ts"

const suite = "packages/node/test/conformance/Conformance.test.ts"

// `build/test-results.json` belongs to `npm test`.
exitWith(
  await run(bin("vitest"), ["run", suite, "--reporter=default"], { cwd: root, env: { CONFORMANCE: "full" } })
)
