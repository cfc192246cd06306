/**
 * `npm run soak`: mixed traffic for a chosen time, checked from end to end, among peers that misbehave. The exit status is
 * 1 where something was lost or leaked. See `--help`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { help, parse, UsageError } from "./options.ts"
import { makeProgress, markdown, summary } from "./report.ts"
import { soak } from "./soak.ts"

/** How many files this process, and those that it starts, may open; Node has raised it as far as it may. */
const maxDescriptors = (): number => {
  try {
    return Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Infinity)
  } catch {
    return Infinity
  }
}

const main = async (args: ReadonlyArray<string>): Promise<void> => {
  const options = parse(args)
  if (options === undefined) return console.log(help)
  const needed = options.connections + 200 + 40 * options.faults + 30 * options.leavers + options.slow + options.subscribers
  if (needed > maxDescriptors()) {
    throw new UsageError(`${options.connections} connections need ${needed} file descriptors; ${maxDescriptors()} are allowed: see ulimit -n`)
  }
  const progress = makeProgress()
  const result = await soak(options, progress.show).finally(progress.clear)
  console.log(summary(result))
  if (options.report !== undefined) writeFileSync(options.report, markdown(result, options, args))
  if (result.failures.length > 0) process.exitCode = 1
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`${error.message}\n\n${help}`)
  process.exitCode = 2
}
