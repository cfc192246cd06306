/**
 * Checks the packages as a user gets them: builds and packs them, has `publint` and `attw` look at the tarballs,
 * installs these into an empty project and runs an echo there, on Node 22 and on the newest Node of the registry.
 */
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bin, root, run, type RunResult } from "./lib/commands.ts"

const pnpm = "pnpm@12.21.0"
const folders = ["packages/core", "packages/node"]
const nodeVersions = ["22", "latest"]
const tarballs = join(root, "build/packages")

const step = async (title: string, work: () => Promise<RunResult>): Promise<string> => {
  console.log(`- ${title}`)
  const { output, status } = await work()
  if (status !== 0) throw new Error(`${title}: failed\n${output}`)
  return output
}

const pack = async (): Promise<ReadonlyArray<string>> => {
  rmSync(tarballs, { recursive: true, force: true })
  mkdirSync(tarballs, { recursive: true })
  for (const folder of folders) {
    // pnpm, not npm: it resolves `workspace:`, `catalog:` and `publishConfig.exports`.
    await step(`pack ${folder}`, () =>
      run("npx", ["-y", pnpm, "pack", "--pack-destination", tarballs], { cwd: join(root, folder), quiet: true }))
  }
  const packed = globSync("*.tgz", { cwd: tarballs }).toSorted().map((name) => join(tarballs, name))
  if (packed.length !== folders.length) throw new Error(`expected ${folders.length} tarballs, found ${packed.length}`)
  return packed
}

/** Installs the tarballs into an empty project outside of the repository, and runs the echo on that Node. */
const tryOut = async (packed: ReadonlyArray<string>, nodeVersion: string): Promise<void> => {
  const project = mkdtempSync(join(tmpdir(), "effect-ws-packages-"))
  try {
    writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }))
    cpSync(join(root, "scripts/check-packages/echo.mjs"), join(project, "echo.mjs"))
    // npm installs the peers (`effect`, `@effect/platform-node`) by itself, as it does for a user.
    await step(`install into an empty project with node@${nodeVersion}`, () =>
      run("npm", ["install", "--no-audit", "--no-fund", "--silent", `node@${nodeVersion}`, ...packed], {
        cwd: project,
        quiet: true
      }))
    const node = join(project, "node_modules/.bin/node")
    const version = await step(`start node@${nodeVersion}`, () => run(node, ["-v"], { cwd: project, quiet: true }))
    const wanted = readFileSync(join(project, "node_modules/node/package.json"), "utf8")
    if (`v${JSON.parse(wanted).version}` !== version.trim()) throw new Error(`node@${nodeVersion} runs ${version}`)
    const output = await step(`echo on Node ${version.trim()}`, () =>
      run(node, ["echo.mjs"], { cwd: project, quiet: true, env: { NODE_OPTIONS: "", NODE_PATH: "" } }))
    if (!output.includes("echo: ok")) throw new Error(`the echo did not say that it worked:\n${output}`)
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
}

try {
  await step("build", () => run(process.execPath, [join(root, "scripts/build.ts")], { cwd: root, quiet: true }))
  const packed = await pack()
  for (const tarball of packed) {
    const name = tarball.slice(tarballs.length + 1)
    await step(`publint ${name}`, () => run(bin("publint"), [tarball, "--strict"], { cwd: root, quiet: true }))
    await step(`attw ${name}`, () => run(bin("attw"), [tarball, "--profile", "esm-only"], { cwd: root, quiet: true }))
  }
  for (const version of nodeVersions) await tryOut(packed, version)
  console.log("packages: ok")
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
