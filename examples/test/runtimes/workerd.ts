/** Starts workerd with the Worker of `worker.ts`. */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { onTestFinished } from "vitest"
import { bundle } from "../../page/bundle.ts"

// Workers reach the internet only, unless a network says otherwise.
const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-10-01"
    )),
    (name = "internet", network = (allow = ["public", "private"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
`

/** Its address; it ends with the test. */
export const startWorker = async (command: string): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), "worker-"))
  writeFileSync(join(folder, "config.capnp"), config)
  writeFileSync(join(folder, "worker.js"), await Effect.runPromise(bundle(fileURLToPath(new URL("worker.ts", import.meta.url)))))
  const child = spawn(command, ["serve", "--control-fd=3", join(folder, "config.capnp")], {
    stdio: ["ignore", "pipe", "pipe", "pipe"]
  })
  let output = ""
  const note = (chunk: Buffer) => {
    output += chunk.toString()
  }
  child.stdout!.on("data", note)
  child.stderr!.on("data", note)
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()))
  onTestFinished(async () => {
    child.kill("SIGKILL")
    await ended
    rmSync(folder, { recursive: true, force: true })
  })
  let events = ""
  return new Promise((resolve, reject) => {
    child.stdio[3]!.on("data", (chunk: Buffer) => {
      events += chunk.toString()
      const listening = /"event":"listen","socket":"http","port":(\d+)/.exec(events)
      if (listening !== null) resolve(`ws://127.0.0.1:${listening[1]}`)
    })
    void ended.then(() => reject(new Error(`workerd ended: ${output}`)))
  })
}
