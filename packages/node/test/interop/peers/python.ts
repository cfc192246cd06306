/** Python's `websockets`, as a client and as a server: `support/peer.py` on the other side of a pipe. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { Ability, Found, PeerClient, PeerServer } from "../peer.ts"
import { type Event, Remote } from "./remote.ts"

const script = fileURLToPath(new URL("../support/peer.py", import.meta.url))

// Its `close` sends 1000 where no code is given.
const abilities: ReadonlySet<Ability> = new Set<Ability>([
  "ping",
  "fragments",
  "requestHeaders",
  "seenHeaders",
  "refusalStatus",
  "keepsBom",
  "deflateParameters",
  "cut",
  "violations"
])

const probe = "import websockets, sys; sys.stdout.write(websockets.__version__)"

// Debian's package is there for the system's Python only.
const candidates = [process.env["PYTHON"], "/usr/bin/python3", "python3"].filter((path) => path !== undefined)

interface Python {
  readonly path: string
  readonly version: string
}

const find = (): Python | undefined => {
  for (const path of candidates) {
    const { status, stdout } = spawnSync(path, ["-c", probe], { encoding: "utf8", timeout: 10_000 })
    if (status === 0) return { path, version: stdout }
  }
  return undefined
}

const python = find()
const name = `Python websockets ${python?.version ?? ""}`.trimEnd()
const missing = python === undefined ? "no Python with the package websockets is installed" : undefined

const start = async (role: "client" | "server") => {
  const child = spawn(python!.path, ["-u", script], { stdio: ["pipe", "pipe", "inherit"] })
  const exited = once(child, "exit")
  const remote = new Remote(role, (command) => void child.stdin.write(`${JSON.stringify(command)}\n`))
  createInterface({ input: child.stdout }).on("line", (line) => remote.onEvent(JSON.parse(line) as Event))
  return {
    remote,
    stop: async () => {
      // It ends with its input.
      child.stdin.end()
      await exited
    }
  }
}

export const pythonClient: Found<PeerClient> = {
  name,
  abilities,
  missing,
  start: async () => {
    const { remote, stop } = await start("client")
    return { connect: (url, options) => remote.connect(url, options), stop }
  }
}

export const pythonServer: Found<PeerServer> = {
  name,
  abilities,
  missing,
  start: async () => {
    const { remote, stop } = await start("server")
    return { listen: (options) => remote.listen(options), stop }
  }
}
