/**
 * The other runtimes that the tests run on: which versions, where they lie, and how they are installed. They are no
 * dependencies of the workspace, because they are large and only `npm run test:runtimes` needs them.
 */
import { globSync, mkdirSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { root, run } from "../lib/commands.ts"

export type Runtime = "bun" | "deno" | "workerd"

/** Their packages in the npm registry, whose binaries lie in packages of each platform. */
export const versions: Readonly<Record<Runtime, string>> = {
  bun: "1.4.5",
  deno: "2.9.6",
  workerd: "1.20261117.1"
}

const binaries: Readonly<Record<Runtime, string>> = {
  bun: "@oven/bun-*/bin/bun{,.exe}",
  deno: "@deno/*/deno{,.exe}",
  workerd: "@cloudflare/workerd-*/bin/workerd{,.exe}"
}

/** The folder that holds them; `EFFECT_WS_RUNTIMES` names another, such as a cache. */
export const folder = (): string => resolve(root, process.env["EFFECT_WS_RUNTIMES"] ?? "build/runtimes")

/** The binary of a runtime, where it is installed. */
export const findRuntime = (runtime: Runtime): string | undefined => {
  const modules = join(folder(), versionsName(), "node_modules")
  return globSync(binaries[runtime], { cwd: modules }).map((path) => join(modules, path))[0]
}

/** A folder for each set of versions, so that a cache never holds those of before. */
const versionsName = (): string => Object.values(versions).join("_")

/** Installs what is missing, without running scripts of the packages. */
export const installRuntimes = async (): Promise<void> => {
  const runtimes = Object.keys(versions) as ReadonlyArray<Runtime>
  if (runtimes.every((runtime) => findRuntime(runtime) !== undefined)) return
  const cwd = join(folder(), versionsName())
  mkdirSync(cwd, { recursive: true })
  writeFileSync(join(cwd, "package.json"), JSON.stringify({ private: true }))
  console.log(`Installing ${runtimes.map((name) => `${name} ${versions[name]}`).join(", ")} into ${cwd} (once) ...`)
  const packages = runtimes.map((name) => `${name}@${versions[name]}`)
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
  const { output, status } = await run("npm", ["install", ...flags, ...packages], { cwd, quiet: true })
  const missing = runtimes.filter((runtime) => findRuntime(runtime) === undefined)
  if (status === 0 && missing.length === 0) return
  throw new Error(`The runtimes could not be installed (${missing.join(", ") || "npm failed"}):\n${output}`)
}
