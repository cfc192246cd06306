/** The command line of the benchmarks. */
import { parseArgs } from "node:util"
import { adapted, type Workload, workloads } from "./workloads.ts"

export const help = `npm run bench -- [options]

  --list               the workloads and their peers
  --workloads a,b      only these; a part of a name is enough where only one has it
  --peers a,b          only these, and the one that they are compared with
  --rounds N           measured runs of each peer (5)
  --seconds N          length of a run (1)
  --scale N            connections of the workloads that have hundreds, times N (1); 0.1 for a small machine
  --rate N             messages a second where the rate is fixed (what --list says)
  --micro              only the microbenchmarks of the codec; --no-micro: all but these
  --json FILE          keeps the results
  --from FILE          measures nothing: takes the results from FILE, of an earlier --json
  --svg FILE           draws them
  --table FILE         puts them as a table between the marks that FILE (Markdown) has for it
  --profile FOLDER     keeps CPU profiles of the measured processes on Node, for DevTools; the figures are then higher
  --compare FILE       tells what became slower than in FILE, of an earlier --json; then the exit status is 1
  --tolerance N        by how many percent at least (10)`

/** Shown to the user without a stack. */
export class UsageError extends Error {}

export interface Options {
  readonly help: boolean
  readonly list: boolean
  readonly workloads: ReadonlyArray<Workload>
  readonly peers: ReadonlyArray<string> | undefined
  readonly rounds: number
  readonly seconds: number
  readonly scale: number
  /** `true`: nothing but these. */
  readonly micro: boolean | undefined
  readonly json: string | undefined
  readonly from: string | undefined
  readonly svg: string | undefined
  readonly table: string | undefined
  readonly profile: string | undefined
  readonly compare: string | undefined
  readonly tolerance: number
}

const positive = (name: string, text: string): number => {
  const value = Number(text)
  if (!(value > 0 && value < Infinity)) throw new UsageError(`--${name} takes a number above 0, not "${text}"`)
  return value
}

const workloadOf = (name: string): Workload => {
  const exact = workloads.find((workload) => workload.name === name)
  if (exact !== undefined) return exact
  const near = workloads.filter((workload) => workload.name.includes(name))
  if (near.length === 1) return near[0]!
  throw new UsageError(`there is ${near.length === 0 ? "no" : "more than one"} workload "${name}"; see --list`)
}

const valuesOf = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      allowNegative: true,
      options: {
        help: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        workloads: { type: "string" },
        peers: { type: "string" },
        rounds: { type: "string", default: "5" },
        seconds: { type: "string", default: "1" },
        scale: { type: "string", default: "1" },
        rate: { type: "string" },
        micro: { type: "boolean" },
        json: { type: "string" },
        from: { type: "string" },
        svg: { type: "string" },
        table: { type: "string" },
        profile: { type: "string" },
        compare: { type: "string" },
        tolerance: { type: "string", default: "10" }
      }
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

export const parse = (args: ReadonlyArray<string>): Options => {
  const values = valuesOf(args)
  const scale = positive("scale", values.scale)
  const rate = values.rate === undefined ? undefined : positive("rate", values.rate)
  const chosen = values.workloads === undefined ? workloads : values.workloads.split(",").map(workloadOf)
  return {
    help: values.help,
    list: values.list,
    workloads: chosen.map((workload) => adapted(workload, scale, rate)),
    peers: values.peers?.split(","),
    rounds: Math.ceil(positive("rounds", values.rounds)),
    seconds: positive("seconds", values.seconds),
    scale,
    micro: values.micro,
    json: values.json,
    from: values.from,
    svg: values.svg,
    table: values.table,
    profile: values.profile,
    compare: values.compare,
    tolerance: positive("tolerance", values.tolerance) / 100
  }
}
