/** The process of a soak's guests: slow peers, early leavers and subscribers. */
import type * as Net from "node:net"
import type { Departure, GuestsReport, GuestsTask, Received } from "../messages.ts"
import { answer } from "../processes.ts"
import { between, makeRandom, type Random } from "../traffic.ts"
import { comeAndLeave, subscribe } from "./leavers.ts"
import { drink, sip } from "./slow.ts"

let received: Array<Received> = []
let departures: Array<Departure> = []
let problems: Array<string> = []
const pushes = { received: 0, lost: 0, pings: 0 }

let stops = false
const isStopping = () => stops
let timer: NodeJS.Timeout | undefined
let rounds = 0
const under = new Set<Promise<void>>()

const track = (work: Promise<void>): void => {
  const one: Promise<void> = work
    .catch((error: unknown) => void problems.push(error instanceof Error ? error.message : String(error)))
    .finally(() => under.delete(one))
  under.add(one)
}

const describe = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** One after the other, until all stop. */
const chain = async (prefix: string, seed: number, one: (key: string, random: Random) => Promise<void>): Promise<void> => {
  const random = makeRandom(seed)
  for (let i = 0; !isStopping(); i++) {
    try {
      await one(`${prefix}.${i}`, random)
    } catch (error) {
      problems.push(describe(error))
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  }
}

const begin = ({ leaversPerSecond, ports, seed, slow, slowBytes, subscribers }: GuestsTask): void => {
  const round = ++rounds
  const portOf = (random: Random) => ports[between(random, 0, ports.length - 1)]!
  for (let i = 0; i < slow; i++) {
    track(chain(`slow${round}.${i}`, seed + i, async (key, random) => {
      // Not `received.push(await ...)`: a report in between takes the array away.
      const one = await drink(portOf(random), key, random, slowBytes)
      received.push(one)
    }))
  }
  for (let i = 0; i < subscribers; i++) {
    track(chain(`subscriber${round}.${i}`, seed + 1000 + i, async (key, random) => {
      const { departure, ...counts } = await subscribe(portOf(random), key, random, isStopping)
      departures.push(departure)
      pushes.received += counts.received
      pushes.lost += counts.lost
      pushes.pings += counts.pings
    }))
  }
  if (leaversPerSecond === 0) return
  const random = makeRandom(seed + 5000)
  let number = 0
  timer = setInterval(() => {
    const key = `leaver${round}.${number++}`
    track(comeAndLeave(portOf(random), key, makeRandom(seed + 6000 + number)).then((departure) => void departures.push(departure)))
  }, 1000 / leaversPerSecond)
}

const server = await sip((one) => received.push(one))

answer({
  port: () => (server.address() as Net.AddressInfo).port,
  start: (task: GuestsTask) => {
    stops = false
    begin(task)
  },
  stop: async () => {
    stops = true
    clearInterval(timer)
    await Promise.all(under)
  },
  report: (): GuestsReport => {
    const report = { received, departures, problems, pushes: { ...pushes } }
    received = []
    departures = []
    problems = []
    return report
  }
})
