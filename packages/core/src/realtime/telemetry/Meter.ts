/**
 * The metrics of all subjects in one registry, with one set of attributes: there is one in a program, and many in its tests. A subject
 * counts in plain fields, which are added up when a metric is read, and finally at its end.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

const ignore = (): void => {}

/** Counts one more of a kind. */
export const count = (occurrences: Map<string, number>, kind: string): void => {
  occurrences.set(kind, (occurrences.get(kind) ?? 0) + 1)
}

const add = (into: Map<string, number>, from: ReadonlyMap<string, number>): void => {
  for (const [kind, occurrences] of from) into.set(kind, (into.get(kind) ?? 0) + occurrences)
}

const sum = (values: ReadonlyArray<number>): number => values.reduce((all, value) => all + value, 0)

export class Meter<Subject> {
  private readonly context: Context.Context<never>
  private readonly subjects = new Set<Subject>()
  private readonly ending: Array<(subject: Subject) => void> = []

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  begin(subject: Subject): void {
    this.subjects.add(subject)
  }

  end(subject: Subject): void {
    if (!this.subjects.delete(subject)) return
    for (const end of this.ending) end(subject)
  }

  private register<Input, State>(metric: Metric.Metric<Input, State>, get: () => State): void {
    Metric.registerUnsafe(metric, this.context, { get, update: ignore, modify: ignore })
  }

  /** What is there now: of all subjects together, by default their sum. */
  gauge(metric: Metric.Gauge<number>, of: (subject: Subject) => number, together = sum): void {
    this.register(metric, () => ({ value: together(Array.from(this.subjects, of)) }))
  }

  counter(metric: Metric.Counter<number>, of: (subject: Subject) => number): void {
    let ended = 0
    this.ending.push((subject) => {
      ended += of(subject)
    })
    this.register(metric, () => ({ count: ended + sum(Array.from(this.subjects, of)), incremental: true }))
  }

  frequency(metric: Metric.Frequency, of: (subject: Subject) => ReadonlyMap<string, number>): void {
    const ended = new Map<string, number>()
    this.ending.push((subject) => add(ended, of(subject)))
    this.register(metric, () => {
      const occurrences = new Map(ended)
      for (const subject of this.subjects) add(occurrences, of(subject))
      return { occurrences }
    })
  }
}

/** Finds the meter of the registry and the attributes in a context; `define` says what it measures. */
export const meters = <Subject>(define: (meter: Meter<Subject>) => void): (context: Context.Context<never>) => Meter<Subject> => {
  const byRegistry = new WeakMap<Metric.MetricRegistry, Map<string, Meter<Subject>>>()
  return (context) => {
    const registry = Context.get(context, Metric.MetricRegistry)
    const attributes = Context.get(context, Metric.CurrentMetricAttributes)
    const key = JSON.stringify(Object.entries(attributes).sort(([a], [b]) => a < b ? -1 : 1))
    let known = byRegistry.get(registry)
    if (known === undefined) byRegistry.set(registry, known = new Map())
    let meter = known.get(key)
    if (meter === undefined) {
      const own = Context.make(Metric.MetricRegistry, registry).pipe(Context.add(Metric.CurrentMetricAttributes, attributes))
      known.set(key, meter = new Meter(own as Context.Context<never>))
      define(meter)
    }
    return meter
  }
}
