/**
 * The metrics of all hubs in one registry, with one set of attributes: there is one hub in a program, and many in its tests. A hub
 * counts in plain fields, which are added up when a metric is read, and finally at its end.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import { topicMetrics } from "../../Observability.ts"
import type { Counts, Hub } from "./Hub.ts"

const ignore = (): void => {}

const add = (into: Map<string, number>, from: ReadonlyMap<string, number>): void => {
  for (const [key, occurrences] of from) into.set(key, (into.get(key) ?? 0) + occurrences)
}

class TopicsMeter {
  private readonly context: Context.Context<never>
  private readonly hubs = new Set<Hub>()
  private readonly ended = { publications: 0, deliveries: 0, recoveries: 0, gaps: new Map<string, number>(), errors: new Map<string, number>() }

  constructor(context: Context.Context<never>) {
    this.context = context
    const { active, behind, brokerErrors, deliveries, gaps, lag, publications, recoveries, subscriptions } = topicMetrics
    this.gauge(active, (hub) => hub.size)
    this.gauge(subscriptions, ({ counts }) => counts.subscriptions)
    this.gauge(behind, ({ counts }) => counts.behind)
    this.register(lag, () => ({ value: Math.max(0, ...Array.from(this.hubs, (hub) => hub.lag)) }))
    this.counter(publications, "publications")
    this.counter(deliveries, "deliveries")
    this.counter(recoveries, "recoveries")
    this.frequency(gaps, "gaps")
    this.frequency(brokerErrors, "errors")
  }

  begin(hub: Hub): void {
    this.hubs.add(hub)
  }

  end(hub: Hub): void {
    const { counts } = hub
    this.hubs.delete(hub)
    this.ended.publications += counts.publications
    this.ended.deliveries += counts.deliveries
    this.ended.recoveries += counts.recoveries
    add(this.ended.gaps, counts.gaps)
    add(this.ended.errors, counts.errors)
  }

  private register<Input, State>(metric: Metric.Metric<Input, State>, get: () => State): void {
    Metric.registerUnsafe(metric, this.context, { get, update: ignore, modify: ignore })
  }

  private gauge(metric: Metric.Gauge<number>, of: (hub: Hub) => number): void {
    this.register(metric, () => {
      let value = 0
      for (const hub of this.hubs) value += of(hub)
      return { value }
    })
  }

  private counter(metric: Metric.Counter<number>, field: "publications" | "deliveries" | "recoveries"): void {
    this.register(metric, () => {
      let count = this.ended[field]
      for (const { counts } of this.hubs) count += counts[field]
      return { count, incremental: true }
    })
  }

  private frequency(metric: Metric.Frequency, field: "gaps" | "errors"): void {
    this.register(metric, () => {
      const occurrences = new Map(this.ended[field])
      for (const { counts } of this.hubs) add(occurrences, (counts satisfies Counts)[field])
      return { occurrences }
    })
  }
}

const byRegistry = new WeakMap<Metric.MetricRegistry, Map<string, TopicsMeter>>()

/** The meter of the registry and the attributes in a context. */
export const meterOf = (context: Context.Context<never>): TopicsMeter => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const attributes = Context.get(context, Metric.CurrentMetricAttributes)
  const key = JSON.stringify(Object.entries(attributes).sort(([a], [b]) => a < b ? -1 : 1))
  let meters = byRegistry.get(registry)
  if (meters === undefined) byRegistry.set(registry, meters = new Map())
  let meter = meters.get(key)
  if (meter === undefined) {
    const own = Context.make(Metric.MetricRegistry, registry).pipe(Context.add(Metric.CurrentMetricAttributes, attributes))
    meters.set(key, meter = new TopicsMeter(own as Context.Context<never>))
  }
  return meter
}
