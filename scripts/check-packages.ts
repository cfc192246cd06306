/**
 * Checks the packages as a user gets them: builds and packs them, has `publint` and `attw` look at the tarballs,
 * installs these into an empty project and compiles a program there, by each compiler and each way to find modules that
 * users have, and runs an echo, on Node 22, 24 and the newest of the registry, with undocumented interfaces of Node and
 * without, and sees that an older Node is refused in words. `--types` builds, packs and compiles, and leaves out the rest.
 */
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bin, root, run, type RunResult } from "./lib/commands.ts"

const pnpm = "pnpm@12.21.0"
const folders = ["packages/core", "packages/node"]
const knownVersions = ["22", "24"]
const nodeVersions = [...knownVersions, "latest"]
const oldVersion = "20"
const interfaces = ["SocketHandle", "SharedReads", "BufferText", "ZlibHandle", "YoungCollections"]
const compilers = ["5.9", "6", "7"]
const resolutions = { bundler: "ESNext", node16: "Node16", nodenext: "NodeNext" }
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

/** What a program of the project prints on its own Node, which is that of its user and nothing else. */
const runEcho = (project: string, env: Readonly<Record<string, string>> = {}): Promise<RunResult> =>
  run(join(project, "node_modules/.bin/node"), ["--pending-deprecation", "--throw-deprecation", "echo.mjs"], {
    cwd: project,
    quiet: true,
    env: { NODE_OPTIONS: "", NODE_PATH: "", EFFECT_WS_PORTABLE: "", ...env }
  })

/** Installs packages into an empty project outside of the repository, and hands over its folder. */
const inEmptyProject = async (
  what: string,
  packages: ReadonlyArray<string>,
  use: (project: string) => Promise<void>
): Promise<void> => {
  const project = mkdtempSync(join(tmpdir(), "effect-ws-packages-"))
  try {
    writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }))
    // npm installs the peers (`effect`, `@effect/platform-node`) by itself, as it does for a user.
    await step(`install into an empty project with ${what}`, () =>
      run("npm", ["install", "--no-audit", "--no-fund", "--silent", ...packages], { cwd: project, quiet: true }))
    await use(project)
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
}

/** Installs the tarballs into an empty project with that Node, and hands over both. */
const inProject = (
  packed: ReadonlyArray<string>,
  nodeVersion: string,
  use: (project: string, version: string) => Promise<void>
): Promise<void> =>
  inEmptyProject(`node@${nodeVersion}`, [`node@${nodeVersion}`, ...packed], async (project) => {
    cpSync(join(root, "scripts/check-packages/echo.mjs"), join(project, "echo.mjs"))
    cpSync(join(root, "packages/node/test/support/tls"), join(project, "tls"), { recursive: true })
    const node = join(project, "node_modules/.bin/node")
    const version = await step(`start node@${nodeVersion}`, () => run(node, ["-v"], { cwd: project, quiet: true }))
    const wanted = readFileSync(join(project, "node_modules/node/package.json"), "utf8")
    if (`v${JSON.parse(wanted).version}` !== version.trim()) throw new Error(`node@${nodeVersion} runs ${version}`)
    await use(project, version.trim())
  })

/** Compiles a program against the declarations, which are checked too. Among them are those of the peers, which need DOM's. */
const tryTypes = (packed: ReadonlyArray<string>): Promise<void> => {
  const aliases = compilers.map((version) => `typescript-${version}@npm:typescript@${version}`)
  return inEmptyProject(`TypeScript ${compilers.join(", ")}`, [...aliases, typesOfNode(), ...packed], async (project) => {
    cpSync(join(root, "scripts/check-packages/types.ts"), join(project, "types.ts"))
    for (const [moduleResolution, module] of Object.entries(resolutions)) {
      const compilerOptions = {
        noEmit: true,
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
        target: "ES2023",
        lib: ["ES2023", "DOM"],
        types: ["node"],
        module,
        moduleResolution
      }
      writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["types.ts"] }))
      for (const version of compilers) {
        await step(`compile by TypeScript ${version}, moduleResolution ${moduleResolution}`, () =>
          run(process.execPath, [`node_modules/typescript-${version}/bin/tsc`, "-p", "."], { cwd: project, quiet: true }))
      }
    }
  })
}

/** The same as the repository's. */
const typesOfNode = (): string => {
  const { version } = JSON.parse(readFileSync(join(root, "node_modules/@types/node/package.json"), "utf8")) as { version: string }
  return `@types/node@${version}`
}

/** Talks through the packages, with all that works on that Node and with its documented interfaces only. */
const tryOut = (packed: ReadonlyArray<string>, nodeVersion: string): Promise<void> =>
  inProject(packed, nodeVersion, async (project, version) => {
    const fast = await step(`echo on Node ${version}`, () => runEcho(project))
    const portable = await step(`echo on Node ${version}, EFFECT_WS_PORTABLE=1`, () => runEcho(project, { EFFECT_WS_PORTABLE: "1" }))
    // The program is linked, finds its version and loads what a command needs.
    const commands = [["--version"], ["conformance", "--list", "--cases", "6.1.1"]]
    for (const args of commands) {
      await step(`effect-ws ${args.join(" ")}`, () =>
        run(join(project, "node_modules/.bin/node"), ["node_modules/.bin/effect-ws", ...args], { cwd: project, quiet: true }))
    }
    const [inUse, off] = [fast, portable].map((output) => output.match(/^echo: ok, in use: (.*)$/m)?.[1])
    if (inUse === undefined || off === undefined) throw new Error(`an echo did not say that it worked:\n${fast}${portable}`)
    console.log(`  in use beyond the documentation of Node ${version}: ${inUse}`)
    if (off !== "nothing") throw new Error(`EFFECT_WS_PORTABLE=1 does not turn off ${off}`)
    // A newer Node may differ, and is then served by its documentation. These are known to work.
    const missing = knownVersions.includes(nodeVersion) ? interfaces.filter((name) => !inUse.split(", ").includes(name)) : []
    if (missing.length > 0) throw new Error(`Node ${version} does not use ${missing.join(", ")}`)
  })

/** A Node that is too old says so, in place of whatever fails there first. */
const tryOld = (packed: ReadonlyArray<string>): Promise<void> =>
  inProject(packed, oldVersion, async (project, version) => {
    const { output, status } = await run(join(project, "node_modules/.bin/node"), ["echo.mjs"], { cwd: project, quiet: true })
    if (status === 0 || !output.includes("@effect-ws/node needs Node")) {
      throw new Error(`Node ${version} is too old, and is not told so:\n${output}`)
    }
    console.log(`- Node ${version} is told that it is too old`)
  })

/** How the tarballs look, and whether they work. */
const tryRest = async (packed: ReadonlyArray<string>): Promise<void> => {
  for (const tarball of packed) {
    const name = tarball.slice(tarballs.length + 1)
    await step(`publint ${name}`, () => run(bin("publint"), [tarball, "--strict"], { cwd: root, quiet: true }))
    await step(`attw ${name}`, () => run(bin("attw"), [tarball, "--profile", "esm-only"], { cwd: root, quiet: true }))
  }
  for (const version of nodeVersions) await tryOut(packed, version)
  await tryOld(packed)
}

try {
  await step("build", () => run(process.execPath, [join(root, "scripts/build.ts")], { cwd: root, quiet: true }))
  const packed = await pack()
  await tryTypes(packed)
  if (!process.argv.includes("--types")) await tryRest(packed)
  console.log("packages: ok")
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
