/** The runtimes that a test may start a program on. */
import type { TestContext } from "vitest"
import { findRuntime, type Runtime } from "../../../scripts/runtimes/installed.ts"

export type Command = readonly [command: string, ...args: ReadonlyArray<string>]

const before: Readonly<Record<Runtime, ReadonlyArray<string>>> = {
  bun: [],
  deno: ["run", "--allow-all"],
  workerd: []
}

/** How a runtime is started; where it is not installed the test is skipped and says so. */
export const commandOf = (runtime: Runtime | "node", context: TestContext): Command => {
  if (runtime === "node") return [process.execPath]
  // Only the command sets this, so that the tests of all do not run them a second time.
  const binary = process.env["EFFECT_WS_RUNTIMES"] === undefined ? undefined : findRuntime(runtime)
  if (binary === undefined) return context.skip(`npm run test:runtimes installs ${runtime} and runs this`)
  return [binary, ...before[runtime]]
}
