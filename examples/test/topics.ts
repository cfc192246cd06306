/** What the subscribers and publishers of `examples/topics` print, held to the promise. */
import { assert } from "@effect/vitest"
import { type Program, run, serve } from "./support.ts"

interface Position {
  readonly epoch: string
  readonly offset: number
}

type Line = Position & { readonly value: unknown } | { readonly gap: { readonly reason: string; readonly from: Position; readonly to: Position } }

export const parsed = <A>(program: Program): ReadonlyArray<A> => program.lines().map((line) => JSON.parse(line) as A)

const text = ({ epoch, offset }: Position) => `${epoch}:${offset}`

/**
 * A subscriber saw the log, with a gap where it did not: publications follow one another, each once, and every one that was
 * acknowledged is there or in a gap. Returns the gaps' reasons.
 */
export const audit = (subscriber: Program, acknowledged: ReadonlyArray<Position & { readonly value: unknown }>): ReadonlyArray<string> => {
  const [, epoch, offset] = /^# subscribed at (.+):(\d+)$/m.exec(subscriber.output())!
  let at: Position = { epoch, offset: Number(offset) }
  const seen = new Map<string, unknown>()
  const gaps: Array<{ readonly reason: string; readonly from: Position; readonly to: Position }> = []
  for (const line of parsed<Line>(subscriber)) {
    if ("gap" in line) {
      assert.strictEqual(text(line.gap.from), text(at))
      gaps.push(line.gap)
      at = line.gap.to
    } else {
      assert.strictEqual(text(line), text({ epoch: at.epoch, offset: at.offset + 1 }))
      seen.set(text(line), line.value)
      at = line
    }
  }
  for (const publication of acknowledged) {
    if (seen.has(text(publication))) {
      assert.deepStrictEqual(seen.get(text(publication)), publication.value)
      continue
    }
    const isMissing = gaps.some(({ from, to }) =>
      (from.epoch === publication.epoch && publication.offset > from.offset && (to.epoch !== from.epoch || publication.offset <= to.offset)) ||
      (to.epoch === publication.epoch && from.epoch !== to.epoch && publication.offset <= to.offset)
    )
    assert.isTrue(isMissing, `${text(publication)} was acknowledged, and neither delivered nor said to be missing: ${JSON.stringify(gaps)}`)
  }
  return gaps.map(({ reason }) => reason)
}

const topic = "room/1"

export const subscribe = async (url: string, ...args: ReadonlyArray<string>): Promise<Program> => {
  const program = run("topics/client.ts", { args: ["subscribe", url, topic, ...args] })
  await program.waitFor(/^# subscribed at /m)
  return program
}

/** Publishes numbered values, and knows which of them were acknowledged. */
export const publish = (url: string) => {
  const program = run("topics/client.ts", { args: ["publish", url, topic] })
  const values: Array<unknown> = []
  return {
    ...program,
    /** Gives it so many more values. */
    more: (count: number) => {
      for (let i = 0; i < count; i++) {
        values.push({ n: values.length })
        program.type(JSON.stringify(values.at(-1)))
      }
    },
    /** Waits until so many are acknowledged in all. */
    acknowledges: (count: number) => program.waitForLines(count),
    /** Those that are, in order. */
    acknowledged: () => parsed<Position & { readonly key: string }>(program).map((position, i) => ({ ...position, value: values[i] }))
  }
}

export const topicServer = (env: Readonly<Record<string, string>> = {}) => serve("topics/server.ts", env)
