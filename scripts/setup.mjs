// Installs the locked dependencies, with nothing but Node 20 and npm at hand (so: plain JavaScript, no
// imports from node_modules). When they are in place already it takes a moment and needs no network.
// Those of the site are left out unless asked for by `--website`: only `npm run docs:build` needs them.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const pnpm = "pnpm@12.21.0"
const root = fileURLToPath(new URL("..", import.meta.url))
const marker = `${root}node_modules/.effect-ws-setup`

/** What decides what is installed, and pnpm's record of what was. */
const inputs = [
  "package.json",
  "pnpm-workspace.yaml",
  "pnpm-lock.yaml",
  "packages/core/package.json",
  "packages/node/package.json",
  "examples/package.json",
  "benchmark/package.json",
  "soak/package.json",
  "website/package.json",
  "node_modules/.pnpm/lock.yaml"
]

const fingerprint = () => {
  const hash = createHash("sha256").update(`${pnpm} ${process.platform} ${process.arch}`)
  for (const input of inputs) {
    const path = root + input
    hash.update(`\n${input}\n`).update(existsSync(path) ? readFileSync(path) : "absent")
  }
  return hash.digest("hex")
}

// The second line says that the site's dependencies are in place too; they stay once they are.
const [installed, withWebsite = ""] = existsSync(marker) ? readFileSync(marker, "utf8").split("\n") : []
const website = process.argv.includes("--website") || withWebsite !== ""

if (installed !== fingerprint() || (website && withWebsite === "")) {
  rmSync(marker, { force: true })
  console.log("Installing dependencies (once; a minute or so) ...")
  const filter = website ? [] : ["--filter", "!@effect-ws/website"]
  const { status } = spawnSync("npx", ["-y", pnpm, "install", "--frozen-lockfile", "--reporter=append-only", ...filter], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32"
  })
  if (status !== 0) {
    console.error("The set-up failed: the dependencies could not be installed (is the registry reachable?).")
    process.exit(1)
  }
  writeFileSync(marker, `${fingerprint()}${website ? "\nwith the site" : ""}`)
}
