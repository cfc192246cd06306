/**
 * Fills V8's young generation, is quiet, and prints how many MiB it is before and in the end.
 * With an argument a server has grown before.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { getHeapSpaceStatistics } from "node:v8"
import { Growth } from "../../src/YoungCollections.ts"

const size = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")!.physical_space_size / 2 ** 20

const fill = (): void => {
  const kept: Array<unknown> = []
  for (let i = 0; i < 60_000; i++) kept.push({ i, all: Array.from({ length: 20 }, () => i) })
}

fill()
const before = size()
const grown = process.argv[2] !== undefined
if (grown) new Growth().reached(1)
// More than is needed, on a machine that has other things to do.
const until = Date.now() + (grown ? 15_000 : 1500)
while (size() > before / 4 && Date.now() < until) await sleep(100)
process.stdout.write(JSON.stringify([before, size()]))
