/**
 * Results as one page without scripts or other files: a row for each case, a column for each peer.
 */
import type { Case } from "../cases/Case.ts"
import type { Group } from "../cases/Cases.ts"
import type { Result, Verdict } from "../Runner.ts"
import { type Agent, count, resultsOf } from "./Report.ts"

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")

const classes: Readonly<Record<Verdict, string>> = {
  OK: "ok",
  "NON-STRICT": "lax",
  INFORMATIONAL: "info",
  UNIMPLEMENTED: "none",
  FAILED: "bad"
}

const names: Readonly<Record<Verdict, string>> = {
  OK: "Pass",
  "NON-STRICT": "Non-strict",
  INFORMATIONAL: "Info",
  UNIMPLEMENTED: "Not implemented",
  FAILED: "Fail"
}

const style = `
:root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --lax: #9a6700; --info: #0969da; --none: #6e7781; --bad: #cf222e }
@media (prefers-color-scheme: dark) { :root { --ok: #3fb950; --lax: #d29922; --info: #58a6ff; --none: #8b949e; --bad: #f85149 } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 75rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top }
thead th { position: sticky; top: 0; background: Canvas }
td:first-child { white-space: nowrap }
.ok, .lax, .info, .none, .bad { font-weight: 600; white-space: nowrap }
.ok { color: var(--ok) } .lax { color: var(--lax) } .info { color: var(--info) } .none { color: var(--none) } .bad { color: var(--bad) }
small { display: block; font-weight: 400; white-space: normal; color: GrayText }
h2 { margin-top: 2.5rem }
`

const cell = (result: Result | undefined): string => {
  if (result === undefined) return "<td>–</td>"
  const about = [
    result.code === undefined ? "no close code" : `closed with ${result.code}`,
    `${result.ms} ms`,
    ...(result.message === "" ? [] : [result.message])
  ]
  return `<td><span class="${classes[result.verdict]}">${names[result.verdict]}</span><small>${escape(about.join(", "))}</small></td>`
}

const head = (agents: ReadonlyArray<Agent>, ...first: ReadonlyArray<string>): string =>
  `<thead><tr>${[...first, ...agents.map(({ name }) => name)].map((text) => `<th>${escape(text)}</th>`).join("")}</tr></thead>`

const countCell = (results: ReadonlyArray<Result>): string => {
  const counts = count(results)
  const parts = (Object.keys(classes) as Array<Verdict>).flatMap((verdict) =>
    counts[verdict] === 0 ? [] : [`<span class="${classes[verdict]}">${counts[verdict]} ${names[verdict].toLowerCase()}</span>`]
  )
  return `<td>${parts.join(", ") || "–"}</td>`
}

const row = (item: Case, agents: ReadonlyArray<Agent>): string =>
  `<tr id="${item.id}"><td>${item.id}</td><td>${escape(item.description)}</td>${
    agents.map((agent) => cell(agent.results.get(item.id))).join("")
  }</tr>`

/** The page; groups of which no case was played are left out. */
export const render = (agents: ReadonlyArray<Agent>, groups: ReadonlyArray<Group>, date: Date): string => {
  const played = groups.filter((group) => agents.some((agent) => resultsOf(agent, group).length > 0))
  const wasPlayed = ({ id }: Case) => agents.some((agent) => agent.results.has(id))
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>WebSocket conformance</title>
<style>${style}</style>
</head>
<body>
<h1>WebSocket conformance</h1>
<p>${escape(agents.map(({ name }) => name).join(", "))}; ${date.toISOString().slice(0, 16).replace("T", " ")} UTC.
The cases are numbered as in the Autobahn testsuite.</p>
<table>${head(agents, "group", "cases")}<tbody>
${
    played.map((group) =>
      `<tr><td>${escape(group.title)}</td><td>${group.cases.length}</td>${
        agents.map((agent) => countCell(resultsOf(agent, group))).join("")
      }</tr>`
    ).join("\n")
  }
</tbody></table>
${
    played.map((group) =>
      `<h2>${escape(group.title)}</h2>\n<table>${head(agents, "case", "what is sent")}<tbody>\n${
        group.cases.filter(wasPlayed).map((item) => row(item, agents)).join("\n")
      }\n</tbody></table>`
    ).join("\n")
  }
</body>
</html>
`
}
