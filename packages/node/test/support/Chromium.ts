/** Chromium without a window, as the machine has it. */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"

const find = (): string | undefined => {
  const given = process.env["CHROMIUM_PATH"]
  if (given !== undefined) return existsSync(given) ? given : undefined
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    const { status, stdout } = spawnSync("which", [name], { encoding: "utf8" })
    if (status === 0) return stdout.trim()
  }
  return undefined
}

const executablePath = find()

/** Why there is none here, or `undefined` if there is one. */
export const missing: string | undefined = executablePath === undefined ? "no Chromium is installed here (CHROMIUM_PATH names one that is elsewhere)" : undefined

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: executablePath!,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync"
    ],
    timeout: 30_000
  })
