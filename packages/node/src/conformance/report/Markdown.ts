/**
 * Results as Markdown: for documents, and for the summary of a run of continuous integration.
 */
import type { Group } from "../cases/Cases.ts"
import type { Result } from "../Runner.ts"
import { type Agent, count, findings, resultsOf, showIds } from "./Report.ts"

const escape = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ")

/** `16` where all are well, otherwise what is not: `12, 2 non-strict, 2 failed`. */
const cell = (results: ReadonlyArray<Result>): string => {
  if (results.length === 0) return "–"
  const counts = count(results)
  const good = counts.OK + counts.INFORMATIONAL
  const parts = [
    ...(good > 0 || counts.UNIMPLEMENTED < results.length ? [String(good)] : []),
    ...(counts["NON-STRICT"] > 0 ? [`${counts["NON-STRICT"]} non-strict`] : []),
    ...(counts.UNIMPLEMENTED > 0 ? [`${counts.UNIMPLEMENTED} not implemented`] : []),
    ...(counts.FAILED > 0 ? [`**${counts.FAILED} failed**`] : [])
  ]
  return parts.join(", ")
}

/** A row for each group, a column for each agent. */
export const summary = (agents: ReadonlyArray<Agent>, groups: ReadonlyArray<Group>): ReadonlyArray<string> => [
  `| group | cases | ${agents.map(({ name }) => escape(name)).join(" | ")} |`,
  `|---|---|${agents.map(() => "---|").join("")}`,
  ...groups.map((group) =>
    `| ${group.title} | ${group.cases.length} | ${agents.map((agent) => cell(resultsOf(agent, group))).join(" | ")} |`
  ),
  `| all | ${groups.reduce((sum, group) => sum + group.cases.length, 0)} | ${
    agents.map((agent) => cell(groups.flatMap((group) => resultsOf(agent, group)))).join(" | ")
  } |`
]

/** What is not as it should be, a list for each agent that has some. */
export const details = (agents: ReadonlyArray<Agent>, groups: ReadonlyArray<Group>): ReadonlyArray<string> =>
  agents.flatMap((agent) => {
    const found = findings(agent, groups)
    if (found.length === 0) return []
    return [
      "",
      `**${escape(agent.name)}**`,
      "",
      ...found.map(({ ids, message, verdict }) => `- ${showIds(ids)}: ${verdict.toLowerCase()}; ${escape(message)}`)
    ]
  })

export const render = (agents: ReadonlyArray<Agent>, groups: ReadonlyArray<Group>): string =>
  ["# WebSocket conformance", "", ...summary(agents, groups), ...details(agents, groups), ""].join("\n")
