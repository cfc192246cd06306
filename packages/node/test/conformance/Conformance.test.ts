/** The library against every case, in both roles. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { cases, compressionCases } from "../../src/conformance/cases/Cases.ts"
import type { Case } from "../../src/conformance/cases/Case.ts"
import { isFull, type Result, runAll, runClientCase, runServerCase } from "../../src/conformance/Runner.ts"
import { openCompressionSubjects, openSubjects, type Subjects } from "./subjects.ts"

const runTimeout = 180_000

type Results = ReadonlyMap<string, Result>

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

afterAll(async () => {
  for (const play of plays) await play.subjects?.close()
})

const check = (play: Play, role: "server" | "client") => {
  for (const item of play.cases) {
    it(`${item.id} ${item.description}`, () => {
      const result = play[role].get(item.id)
      if (result === undefined) return assert.fail("not run")
      assert.isTrue(isFull(item, result), `${result.behaviour}, close ${result.closeBehaviour}: ${result.message}`)
    })
  }
}

const describePlay = (suffix: string, play: Play) => {
  describe(`Conformance of the server${suffix}`, () => {
    beforeAll(async () => {
      play.server = await runAll(play.cases, (item) => runServerCase(play.subjects!.server, item))
    }, runTimeout)
    check(play, "server")
  })

  describe(`Conformance of the client${suffix}`, () => {
    beforeAll(async () => {
      play.client = await runAll(play.cases, (item) => runClientCase(play.subjects!.client, item))
    }, runTimeout)
    check(play, "client")
  })
}

describePlay("", uncompressed)
describePlay(" with compression", compressed)
