/**
 * Checks what users get with the packages and what this repository builds with: only dependencies that were decided on,
 * exact versions, everything from the registry with its checksum, and no install script of a dependency but the one that
 * puts Node in place.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./lib/commands.ts"

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly scripts?: Readonly<Record<string, string>>
  readonly license?: string
  readonly files?: ReadonlyArray<string>
  readonly publishConfig?: { readonly access?: string; readonly provenance?: boolean }
}

/** What each package may need at run time. An addition needs its reason in the commit. */
const allowed: Readonly<Record<string, { readonly needs: ReadonlyArray<string>; readonly peers: ReadonlyArray<string> }>> = {
  "packages/core": { needs: [], peers: ["effect"] },
  // `redis` is optional, and a peer of @effect/platform-node anyway.
  "packages/node": { needs: ["@effect-ws/core"], peers: ["@effect/platform-node", "effect", "redis"] }
}

// The npm package of Node's own binary, so that one Node runs everything everywhere.
const mayBuild = ["node"]
const installScripts = ["preinstall", "install", "postinstall", "prepare"]
const exact = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/

const read = (file: string): string => readFileSync(join(root, file), "utf8")
const faults: Array<string> = []
const check = (holds: boolean, what: string) => {
  if (!holds) faults.push(what)
}
const same = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) => a.toSorted().join() === b.toSorted().join()

for (const [folder, { needs, peers }] of Object.entries(allowed)) {
  const manifest = JSON.parse(read(join(folder, "package.json"))) as Manifest
  check(same(Object.keys(manifest.dependencies ?? {}), needs), `${folder}: depends on other packages than ${needs.join() || "none"}`)
  check(same(Object.keys(manifest.peerDependencies ?? {}), peers), `${folder}: has other peers than ${peers.join()}`)
  check(manifest.optionalDependencies === undefined, `${folder}: has optional dependencies`)
  check(!installScripts.some((name) => manifest.scripts?.[name] !== undefined), `${folder}: runs a script when it is installed`)
  check(manifest.license === "MIT" && manifest.files !== undefined, `${folder}: does not say its license and files`)
  const { access, provenance } = manifest.publishConfig ?? {}
  check(access === "public" && provenance === true, `${folder}: is not published in public, with provenance`)
}

let asked = 0
for (const file of ["package.json", "website/package.json"]) {
  const { devDependencies = {} } = JSON.parse(read(file)) as Manifest
  for (const [name, version] of Object.entries(devDependencies)) {
    check(version === "catalog:" || exact.test(version), `${file}: ${name} is ${version}, not an exact version`)
    asked++
  }
}

// Binaries that are measured beside ours, one for each platform: data to the package manager, without a script.
const { optionalDependencies = {} } = JSON.parse(read("benchmark/package.json")) as Manifest
for (const [name, version] of Object.entries(optionalDependencies)) {
  check(exact.test(version), `benchmark/package.json: ${name} is ${version}, not an exact version`)
}

const workspace = read("pnpm-workspace.yaml").split("\n")
const section = (name: string): ReadonlyArray<readonly [string, string]> => {
  const from = workspace.indexOf(`${name}:`) + 1
  check(from > 0, `pnpm-workspace.yaml: has no ${name}`)
  const lines = workspace.slice(from)
  const end = lines.findIndex((line) => !line.startsWith(" "))
  return lines.slice(0, end === -1 ? lines.length : end).map((line) => {
    const colon = line.lastIndexOf(":")
    return [line.slice(0, colon).trim().replaceAll("\"", ""), line.slice(colon + 1).trim()] as const
  })
}
for (const [name, version] of section("catalog")) check(exact.test(version), `pnpm-workspace.yaml: ${name} is ${version}`)
const builders = section("allowBuilds").filter(([, allowed]) => allowed !== "false")
check(same(builders.map(([name]) => name), mayBuild), "pnpm-workspace.yaml: lets other packages run scripts")

const lockfile = read("pnpm-lock.yaml")
const resolutions = [...lockfile.matchAll(/^ {4}resolution: (.+)$/gm)].map(([, resolution]) => resolution!)
check(resolutions.length > 0, "pnpm-lock.yaml: resolves nothing")
for (const resolution of resolutions) {
  check(/^\{integrity: sha512-[\w+/=]+\}$/.test(resolution), `pnpm-lock.yaml: not from the registry by checksum: ${resolution}`)
}

for (const fault of faults) console.error(fault)
if (faults.length > 0) process.exitCode = 1
else console.log(`supply: ${resolutions.length} locked packages, ${asked} of them asked for`)
