/** The settings of a soak, as the command line gives them. */
import { parseArgs } from "node:util"

export const help = `npm run soak -- [options]

  --minutes N          how long the traffic goes on (30); --seconds N for less
  --warm-up N          seconds of the same before, after which memory is first looked at (20, or a third)
  --connections N      connections of ours, held all the time (1000)
  --busy N             of them talk without a pause (200, or all); the others send a message now and then
  --idle-interval N    seconds between the messages of one that is not busy (30)
  --rate N             messages per second at most, all busy connections together (2000)
  --mib-per-second N   the same in bytes, one way (8)
  --in-flight N        messages of a connection that are not answered yet, at most (8)
  --in-flight-mib N    the same of all busy connections together, in bytes: what a machine that is slow has to keep (8)
  --patience N         seconds after which a message counts as lost that is not answered (180); a third longer for what
                       is left at the end
  --faults N           connections of misbehaving peers per second (20); 0 for none
  --slow N             slow peers at a time (8), half of them receive, half are sent to; 0 for none
  --slow-mib N         about how much each of them is sent (4): less is read within the close deadline
  --leavers N          clients per second that leave while a handler runs (5); 0 for none
  --subscribers N      clients at a time of handlers that send without being asked (20)
  --clients N          processes that the connections are spread over (one for 5,000)
  --tolerance-mib N    how much the heap of a process may grow by without being called a leak (8)
  --seed N             what sizes, kinds and times are drawn from (1)
  --server FILE        another server program, in place of soak/server.ts
  --report FILE        writes a report, Markdown`

/** Shown to the user without a stack. */
export class UsageError extends Error {}

export interface Options {
  readonly seconds: number
  readonly warmUp: number
  readonly connections: number
  readonly busy: number
  readonly idleInterval: number
  readonly rate: number
  readonly bytesPerSecond: number
  readonly inFlight: number
  readonly inFlightBytes: number
  readonly patience: number
  readonly faults: number
  readonly slow: number
  readonly slowBytes: number
  readonly leavers: number
  readonly subscribers: number
  readonly clients: number
  readonly toleranceBytes: number
  readonly seed: number
  readonly server: string | undefined
  readonly report: string | undefined
}

const number = (name: string, text: string, least: number): number => {
  const value = Number(text)
  if (text.trim() === "" || !(value >= least && value < Infinity)) {
    throw new UsageError(`--${name} takes a number from ${least}, not "${text}"`)
  }
  return value
}

const whole = (name: string, text: string, least: number): number => {
  const value = number(name, text, least)
  if (!Number.isInteger(value)) throw new UsageError(`--${name} takes a whole number, not "${text}"`)
  return value
}

/** `undefined` asks for help. */
export const parse = (args: ReadonlyArray<string>): Options | undefined => {
  const { values } = (() => {
    try {
      return parseArgs({
        args: [...args],
        options: {
          "help": { type: "boolean", default: false },
          "minutes": { type: "string" },
          "seconds": { type: "string" },
          "warm-up": { type: "string" },
          "connections": { type: "string", default: "1000" },
          "busy": { type: "string" },
          "idle-interval": { type: "string", default: "30" },
          "rate": { type: "string", default: "2000" },
          "mib-per-second": { type: "string", default: "8" },
          "in-flight": { type: "string", default: "8" },
          "in-flight-mib": { type: "string", default: "8" },
          "patience": { type: "string", default: "180" },
          "faults": { type: "string", default: "20" },
          "slow": { type: "string", default: "8" },
          "slow-mib": { type: "string", default: "4" },
          "leavers": { type: "string", default: "5" },
          "subscribers": { type: "string", default: "20" },
          "clients": { type: "string" },
          "tolerance-mib": { type: "string", default: "8" },
          "seed": { type: "string", default: "1" },
          "server": { type: "string" },
          "report": { type: "string" }
        }
      })
    } catch (error) {
      throw new UsageError(error instanceof Error ? error.message : String(error))
    }
  })()
  if (values.help) return undefined
  if (values.minutes !== undefined && values.seconds !== undefined) {
    throw new UsageError("--minutes and --seconds exclude each other")
  }
  const seconds = values.seconds === undefined
    ? 60 * number("minutes", values.minutes ?? "30", 0.01)
    : number("seconds", values.seconds, 1)
  const connections = whole("connections", values.connections, 1)
  const busy = values.busy === undefined ? Math.min(200, connections) : whole("busy", values.busy, 0)
  if (busy > connections) throw new UsageError("--busy are some of the --connections")
  const clients = values.clients === undefined ? Math.ceil(connections / 5000) : whole("clients", values.clients, 1)
  return {
    seconds,
    warmUp: values["warm-up"] === undefined ? Math.min(20, seconds / 3) : number("warm-up", values["warm-up"], 0),
    connections,
    busy,
    idleInterval: number("idle-interval", values["idle-interval"], 0.1),
    rate: number("rate", values.rate, 1),
    bytesPerSecond: number("mib-per-second", values["mib-per-second"], 0.1) * 2 ** 20,
    inFlight: whole("in-flight", values["in-flight"], 1),
    inFlightBytes: number("in-flight-mib", values["in-flight-mib"], 0.1) * 2 ** 20,
    patience: number("patience", values.patience, 0.1),
    faults: number("faults", values.faults, 0),
    slow: whole("slow", values.slow, 0),
    slowBytes: number("slow-mib", values["slow-mib"], 0.01) * 2 ** 20,
    leavers: number("leavers", values.leavers, 0),
    subscribers: whole("subscribers", values.subscribers, 0),
    clients: Math.min(clients, connections),
    toleranceBytes: number("tolerance-mib", values["tolerance-mib"], 0) * 2 ** 20,
    seed: whole("seed", values.seed, 0),
    server: values.server,
    report: values.report
  }
}
