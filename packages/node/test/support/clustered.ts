/** Workers of a cluster that all find out at the same time what works on this Node; each tells which interfaces are in use. */
import { NodeTuning } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import cluster from "node:cluster"

if (cluster.isPrimary) {
  const found: Array<unknown> = []
  let ready = 0
  const workers = Array.from({ length: 3 }, () => cluster.fork())
  for (const worker of workers) {
    worker.on("message", (message: unknown) => {
      if (message !== "ready") found.push(message)
      else if (++ready === workers.length) for (const one of workers) one.send("go")
      if (found.length === workers.length) {
        process.stdout.write(`${JSON.stringify(found)}\n`)
        process.exit(0)
      }
    })
  }
} else {
  process.once("message", () => {
    const names = Effect.map(NodeTuning.undocumented, (all) => all.filter(({ isActive }) => isActive).map(({ name }) => name))
    void Effect.runPromise(names).then((active) => process.send!(active))
  })
  process.send!("ready")
}
