/** The library against every case, in both roles; see docs/conformance.md for the table it writes. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { cases } from "./cases/index.ts"
import { isFull, runAll, runClientCase, runServerCase } from "./runner.ts"
import { openSubjects, type Subjects } from "./subjects.ts"
import { render, type Results, writeTable } from "./table.ts"

const table = new URL("../../../../docs/conformance.md", import.meta.url)
const runTimeout = 180_000

let subjects: Subjects
const results: { server: Results; client: Results } = { server: new Map(), client: new Map() }

beforeAll(async () => {
  subjects = await openSubjects()
})

afterAll(async () => {
  await subjects.close()
  const isWhole = results.server.size === cases.length && results.client.size === cases.length
  if (isWhole && !subjects.isStandIn) await writeTable(table, render(results.server, results.client))
})

const check = (role: keyof typeof results) => {
  for (const item of cases) {
    it(`${item.id} ${item.description}`, () => {
      const result = results[role].get(item.id)
      if (result === undefined) return assert.fail("not run")
      // ws sees invalid UTF-8 only at the end of a message.
      if (subjects.isStandIn && item.id.startsWith("6.4.")) return assert.strictEqual(result.behaviour, "NON-STRICT")
      assert.isTrue(isFull(item, result), `${result.behaviour}, close ${result.closeBehaviour}: ${result.message}`)
    })
  }
}

describe("Conformance of the server", () => {
  beforeAll(async () => {
    results.server = await runAll(cases, (item) => runServerCase(subjects.server, item))
  }, runTimeout)
  check("server")
})

describe("Conformance of the client", () => {
  beforeAll(async () => {
    results.client = await runAll(cases, (item) => runClientCase(subjects.client, item))
  }, runTimeout)
  check("client")
})
