/**
 * A loopback that is like a network: packets of 1,500 bytes, and socket buffers of 16 KiB. On the ordinary one the kernel
 * takes megabytes for a client that reads nothing, so within a benchmark no server would notice that it is slow.
 *
 * It is a network namespace of its own, which Linux gives to root, and on many systems to everybody. The benchmark starts
 * itself again in there.
 */
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { load, type Row } from "./results.ts"

const isInside = process.env["EFFECT_WS_SMALL_BUFFERS"] === "1"

const setUp = [
  "ip link set lo mtu 1500 up",
  "echo 4096 8192 16384 > /proc/sys/net/ipv4/tcp_wmem",
  "echo 4096 8192 16384 > /proc/sys/net/ipv4/tcp_rmem"
].join(" && ")

const inNamespace = (command: string): ReadonlyArray<string> => ["--net", "--map-root-user", "sh", "-c", `${setUp} && ${command}`]

/** Why there is none here; `undefined` if there is. */
const missing = (): string | undefined => {
  if (process.platform !== "linux") return "network namespaces are Linux's"
  const { error, status, stderr } = spawnSync("unshare", inNamespace("true"), { encoding: "utf8" })
  if (error !== undefined) return error.message
  return status === 0 ? undefined : stderr.trim().split("\n").at(-1) ?? "no network namespace"
}

/** Whether a workload has to be run again by {@link measureInside}, or why it is measured where it is. */
export const smallBuffers = (): "here" | "inside" | { readonly missing: string } => {
  if (isInside) return "here"
  const why = missing()
  return why === undefined ? "inside" : { missing: why }
}

/** Runs the benchmark in the namespace with these arguments, and returns the rows that it measured. */
export const measureInside = async (args: ReadonlyArray<string>): Promise<ReadonlyArray<Row>> => {
  const folder = mkdtempSync(join(tmpdir(), "effect-ws-bench-"))
  try {
    const file = join(folder, "rows.json")
    const program = fileURLToPath(new URL("./run.ts", import.meta.url))
    const child = spawn(
      "unshare",
      [...inNamespace("exec \"$@\""), "sh", process.execPath, program, ...args, "--json", file],
      { env: { ...process.env, EFFECT_WS_SMALL_BUFFERS: "1" }, stdio: ["ignore", "ignore", "pipe"] }
    )
    let complaints = ""
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      complaints = (complaints + chunk).slice(-10_000)
    })
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject)
      child.on("close", resolve)
    })
    if (status !== 0) throw new Error(`the benchmark in a network namespace failed:\n${complaints}`)
    return load(file).rows
  } finally {
    rmSync(folder, { recursive: true })
  }
}
