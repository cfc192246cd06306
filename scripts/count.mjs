// Counts what the last run of vitest did, from the summary that it wrote. It runs also where the set-up failed, so it
// is plain JavaScript without dependencies.
//
//   node scripts/count.mjs                    fails unless each folder of tests had one that passed (after `vitest run`)
//   node scripts/count.mjs TESTS OTHERS...    prints `N passed, N failed`, given the exit codes of `npm test` and of
//                                             what ran beside it: `npm run coverage`, ...
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const summary = fileURLToPath(new URL("../build/test-results.json", import.meta.url))
const folders = ["packages/core/test", "packages/node/test", "examples/test"]

/** @returns {import("vitest/node").JsonTestResults | undefined} */
const read = () => (existsSync(summary) ? JSON.parse(readFileSync(summary, "utf8")) : undefined)

/**
 * The folders in which nothing passed: a pattern that matches no file any more must not look like success.
 *
 * @param {import("vitest/node").JsonTestResults} results
 */
const silent = (results) =>
  folders.filter((folder) =>
    !results.testResults.some((file) =>
      file.name.replaceAll("\\", "/").includes(`/${folder}/`) &&
      file.assertionResults.some(({ status }) => status === "passed")))

const results = read()

if (process.argv.length === 2) {
  const missing = results === undefined ? folders : silent(results)
  for (const folder of missing) console.error(`${folder}: no test passed here`)
  process.exitCode = missing.length === 0 ? 0 : 1
} else {
  const [tests, ...others] = process.argv.slice(2).map(Number)
  let passed = 0
  let failed = 0
  if (results !== undefined) {
    // The tests come last: that they ran says that the type check and the lint passed.
    passed += 2 + results.numPassedTests
    failed += results.numFailedTests + silent(results).length
    for (const file of results.testResults) {
      // A file that could not even be loaded has no failed test of its own.
      if (file.status === "failed" && file.assertionResults.every(({ status }) => status !== "failed")) failed += 1
    }
    const skipped = results.numPendingTests + results.numTodoTests
    if (skipped > 0) console.log(`${skipped} skipped`)
  }
  if (tests !== 0 && failed === 0) failed += 1
  for (const status of others) {
    if (status === 0) passed += 1
    else failed += 1
  }
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1
}
