/**
 * What is known of one or more peers: their results, counted and gathered, and as JSON in the shape of Autobahn's
 * `index.json`, so that what reads the one reads the other.
 */
import type { Group } from "../cases/Cases.ts"
import type { Result, Verdict } from "../Runner.ts"

export interface Agent {
  readonly name: string
  readonly results: ReadonlyMap<string, Result>
}

const verdicts: ReadonlyArray<Verdict> = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED"]

export type Counts = Readonly<Record<Verdict, number>>

/** How many of these results there are of each kind. */
export const count = (results: Iterable<Result>): Counts => {
  const counts = { OK: 0, INFORMATIONAL: 0, "NON-STRICT": 0, UNIMPLEMENTED: 0, FAILED: 0 }
  for (const { verdict } of results) counts[verdict]++
  return counts
}

/** The results of a group's cases that were played. */
export const resultsOf = (agent: Agent, group: Group): ReadonlyArray<Result> =>
  group.cases.flatMap(({ id }) => agent.results.get(id) ?? [])

/** Cases of one group with the same fault. */
export interface Finding {
  readonly verdict: Verdict
  readonly ids: ReadonlyArray<string>
  /** What happened in the first of them. */
  readonly message: string
}

/** Without what differs where the fault is the same: numbers, and whether TCP was closed or reset. */
const kindOf = (message: string): string => message.replaceAll(/\d+/g, "#").replaceAll(/ \(E[A-Z]+\)/g, "")

/** What is not as it should be, gathered: many cases often tell of one fault. */
export const findings = (agent: Agent, groups: ReadonlyArray<Group>): ReadonlyArray<Finding> =>
  groups.flatMap((group) => {
    const found = new Map<string, { readonly verdict: Verdict; readonly ids: Array<string>; readonly message: string }>()
    for (const { id, message, verdict } of resultsOf(agent, group)) {
      if (message === "" || verdict === "OK") continue
      const key = `${verdict} ${kindOf(message)}`
      const finding = found.get(key)
      if (finding === undefined) found.set(key, { verdict, ids: [id], message })
      else finding.ids.push(id)
    }
    return [...found.values()]
  })

/** `7.1.1, 7.1.2, 7.1.3` or, where there are many, the first and the last. */
export const showIds = (ids: ReadonlyArray<string>): string =>
  ids.length <= 5 ? ids.join(", ") : `${ids[0]} … ${ids.at(-1)} (${ids.length} cases)`

type Json = Record<string, Record<string, Readonly<Record<string, unknown>>>>

/** Every agent with every case. */
export const toJson = (agents: ReadonlyArray<Agent>, describe: (id: string) => string): string => {
  const all: Json = {}
  for (const { name, results } of agents) {
    const own: Json[string] = {}
    for (const result of results.values()) {
      own[result.id] = {
        behavior: result.behaviour,
        behaviorClose: result.closeBehaviour,
        duration: result.ms,
        remoteCloseCode: result.code ?? null,
        verdict: result.verdict,
        message: result.message,
        description: describe(result.id)
      }
    }
    all[name] = own
  }
  return `${JSON.stringify(all, null, 2)}\n`
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isVerdict = (value: unknown): value is Verdict => verdicts.some((verdict) => verdict === value)

/** A case of a report; `undefined` if it is none of this suite's. */
const resultOf = (id: string, value: unknown): Result | undefined => {
  if (!isObject(value) || !isVerdict(value["verdict"])) return undefined
  return {
    id,
    verdict: value["verdict"],
    behaviour: isVerdict(value["behavior"]) ? value["behavior"] : "FAILED",
    closeBehaviour: closeBehaviours.find((known) => known === value["behaviorClose"]) ?? "FAILED",
    code: typeof value["remoteCloseCode"] === "number" ? value["remoteCloseCode"] : undefined,
    ms: typeof value["duration"] === "number" ? value["duration"] : 0,
    message: typeof value["message"] === "string" ? value["message"] : ""
  }
}

const closeBehaviours = ["OK", "INFORMATIONAL", "WRONG CODE", "UNCLEAN", "FAILED"] as const

/** The agents of a report that {@link toJson} wrote; throws if the text is none. */
export const fromJson = (text: string): ReadonlyArray<Agent> => {
  const all: unknown = JSON.parse(text)
  if (!isObject(all)) throw new Error("it is no report")
  return Object.entries(all).map(([name, cases]) => {
    if (!isObject(cases)) throw new Error("it is no report")
    const results = Object.entries(cases).map(([id, value]) => resultOf(id, value))
    if (results.includes(undefined)) throw new Error("it is no report of this suite")
    return { name, results: new Map(results.flatMap((result) => result === undefined ? [] : [[result.id, result]])) }
  })
}

/** The agents of an earlier report, those of the same name replaced by the newer ones. */
export const merge = (earlier: ReadonlyArray<Agent>, newer: ReadonlyArray<Agent>): ReadonlyArray<Agent> => [
  ...earlier.map((agent) => newer.find(({ name }) => name === agent.name) ?? agent),
  ...newer.filter(({ name }) => !earlier.some((agent) => agent.name === name))
]
