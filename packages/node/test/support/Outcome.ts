import { spawn } from "node:child_process"

/** Runs a program to its end: its exit status, and all that it printed. */
export const outcomeOf = (program: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = process.env) =>
  new Promise<{ readonly status: number | null; readonly output: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { env, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        output += chunk
      })
    }
    child.on("error", reject)
    child.on("close", (status) => resolve({ status, output }))
  })
