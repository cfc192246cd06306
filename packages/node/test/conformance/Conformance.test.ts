/** The library against every case, in both roles; see docs/conformance.md for the table it writes. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { cases, compressionCases, compressionGroups, groups } from "../../src/conformance/cases/Cases.ts"
import type { Case } from "../../src/conformance/cases/Case.ts"
import { isFull, runAll, runClientCase, runServerCase } from "../../src/conformance/Runner.ts"
import { openCompressionSubjects, openSubjects, type Subjects } from "./subjects.ts"
import { render, type Results, writeTable } from "../../src/conformance/Table.ts"

const table = new URL("../../../../docs/conformance.md", import.meta.url)
const runTimeout = 180_000
const inFull = process.env["CONFORMANCE"] === "full"
// A thousand messages a case take their time.
const compressionTimeout = inFull ? 50 * runTimeout : runTimeout

interface Play {
  readonly cases: ReadonlyArray<Case>
  readonly open: () => Promise<Subjects>
  subjects: Subjects | undefined
  server: Results
  client: Results
}

const makePlay = (cases: ReadonlyArray<Case>, open: () => Promise<Subjects>): Play => ({
  cases,
  open,
  subjects: undefined,
  server: new Map(),
  client: new Map()
})

const uncompressed = makePlay(cases, openSubjects)
const compressed = makePlay(compressionCases, openCompressionSubjects)
const plays = [uncompressed, compressed]

beforeAll(async () => {
  for (const play of plays) play.subjects = await play.open()
})

/** Whether what was seen is about the library, and all of it. */
const isShown = ({ cases, client, server, subjects }: Play): boolean =>
  subjects?.isStandIn === false && server.size === cases.length && client.size === cases.length

afterAll(async () => {
  for (const play of plays) await play.subjects?.close()
  if (!isShown(uncompressed)) return
  if (!isShown(compressed)) {
    // Half a run must not take the groups out of the table.
    if (compressed.subjects?.isStandIn !== true) return
    return await writeTable(table, render(uncompressed.server, uncompressed.client, groups))
  }
  const both = (role: "server" | "client"): Results => new Map([...uncompressed[role], ...compressed[role]])
  await writeTable(table, render(both("server"), both("client"), [...groups, ...compressionGroups]))
})

const check = (play: Play, role: "server" | "client") => {
  for (const item of play.cases) {
    it(`${item.id} ${item.description}`, () => {
      const result = play[role].get(item.id)
      if (result === undefined) return assert.fail("not run")
      // ws sees invalid UTF-8 only at the end of a message.
      if (play.subjects?.isStandIn === true && item.id.startsWith("6.4.")) {
        return assert.strictEqual(result.behaviour, "NON-STRICT")
      }
      assert.isTrue(isFull(item, result), `${result.behaviour}, close ${result.closeBehaviour}: ${result.message}`)
    })
  }
}

const describePlay = (suffix: string, play: Play, timeout: number) => {
  describe(`Conformance of the server${suffix}`, () => {
    beforeAll(async () => {
      play.server = await runAll(play.cases, (item) => runServerCase(play.subjects!.server, item, { inFull }))
    }, timeout)
    check(play, "server")
  })

  describe(`Conformance of the client${suffix}`, () => {
    beforeAll(async () => {
      play.client = await runAll(play.cases, (item) => runClientCase(play.subjects!.client, item, { inFull }))
    }, timeout)
    check(play, "client")
  })
}

describePlay("", uncompressed, runTimeout)
describePlay(" with compression", compressed, compressionTimeout)
