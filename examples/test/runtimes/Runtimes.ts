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
  const binary = findRuntime(runtime)
  if (binary === undefined) return context.skip(`${runtime} is not installed: npm run test:runtimes installs it`)
  return [binary, ...before[runtime]]
}
