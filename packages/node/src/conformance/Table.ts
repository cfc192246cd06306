/** Writes docs/conformance.md from the results of both roles: the same results give the same file. */
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { compressionGroups, type Group } from "./cases/Cases.ts"
import type { Case } from "./cases/Case.ts"
import { isFull, type Result } from "./Runner.ts"

export type Results = ReadonlyMap<string, Result>

const escape = (text: string): string => text.replaceAll("|", "\\|")

const cell = (item: Case, result: Result | undefined): string => {
  if (result === undefined) return "not run"
  const code = result.code === undefined ? "no code" : String(result.code)
  if (isFull(item, result)) return `${result.behaviour}, ${code}`
  const close = result.closeBehaviour === result.behaviour ? "" : `, close ${result.closeBehaviour}`
  return `**${result.behaviour}**${close}, ${code}: ${escape(result.message)}`
}

const count = (cases: ReadonlyArray<Case>, results: Results): number =>
  cases.filter((item) => {
    const result = results.get(item.id)
    return result !== undefined && isFull(item, result)
  }).length

const summary = (server: Results, client: Results, groups: ReadonlyArray<Group>): ReadonlyArray<string> => {
  const row = (title: string, cases: ReadonlyArray<Case>) =>
    `| ${title} | ${cases.length} | ${count(cases, server)} | ${count(cases, client)} |`
  return [
    "| group | cases | server | client |",
    "|---|---|---|---|",
    ...groups.map((group) => row(group.title, group.cases)),
    row("all", groups.flatMap((group) => group.cases))
  ]
}

/** What the reader must know of groups 12, 13 and D. It says nothing of one run, so every run says the same. */
const aboutCompression = [
  "Groups 12 and 13 send compressed messages (RFC 7692), each after the last one's echo: the published 1000 a case under",
  "`npm run conformance`, 4 to 20 under `npm test`, of data that is like the published one and made by the suite. Beyond",
  "an equal echo, OK means here that the subject's answer was one that the offer allows; that RSV1 stood on the first",
  "frame of a compressed message and nowhere else; that what it compressed was whole, referred to nothing outside the",
  "agreed window nor, without context takeover, outside the message; and that it did compress messages of 256 octets or",
  "more. A subject that declines is UNIMPLEMENTED. Group D is not in the original.",
  ""
]

/** The table of these groups. */
export const render = (server: Results, client: Results, groups: ReadonlyArray<Group>): string => {
  const isCompressed = groups.some((group) => compressionGroups.includes(group))
  const numbers = isCompressed ? "groups 1-7, 9, 10, 12 and 13" : "groups 1-7, 9 and 10"
  const rfcs = isCompressed ? "the RFCs" : "RFC 6455"
  return [
    "# Conformance",
    "",
    "This file is written by the tests in `packages/node/test/conformance`; do not edit it.",
    "",
    `The cases are numbered as in the public Autobahn testsuite (${numbers}) and written anew from ${rfcs}`,
    "and that suite's published descriptions, on raw TCP and with frames of their own. *Server* is an echo server made",
    "with this library, played by a raw client; *client* is an echo client, played by a raw server.",
    "",
    "OK means: exactly the expected messages and pongs came back, byte for byte and in order; the closing handshake",
    "went as it should, with the code that is shown; TCP was closed; and no frame broke the RFC. This is stricter than",
    "the original in places: what was whole before a violation must be echoed, a violation must be answered with a",
    "Close frame and not only by dropping TCP, invalid UTF-8 must fail before the frame is complete (6.4), and the",
    "content of large messages is compared (9). What the original only reports is INFORMATIONAL here as well, but",
    "7.1.6 must echo both messages before its Close, and 7.13 must close with 1002.",
    "",
    ...(isCompressed ? aboutCompression : []),
    "Full marks:",
    "",
    ...summary(server, client, groups),
    ...groups.flatMap((group) => [
      "",
      `## ${group.title}`,
      "",
      "| case | what is sent | server | client |",
      "|---|---|---|---|",
      ...group.cases.map(
        (item) =>
          `| ${item.id} | ${escape(item.description)} | ${cell(item, server.get(item.id))} | ${
            cell(item, client.get(item.id))
          } |`
      )
    ]),
    ""
  ].join("\n")
}

/** Writes only what differs, so that a run without news leaves the file alone. */
export const writeTable = async (file: URL, text: string): Promise<void> => {
  const old = await readFile(file, "utf8").catch(() => undefined)
  if (old === text) return
  await mkdir(new URL(".", file), { recursive: true })
  await writeFile(file, text)
}
