/** The metrics of the hubs of a process. */
import { topicMetrics } from "../../Observability.ts"
import { meters } from "../telemetry/Meter.ts"
import type { Hub } from "./Hub.ts"

export const meterOf = meters<Hub>((meter) => {
  const { active, behind, brokerErrors, deliveries, gaps, lag, publications, recoveries, subscriptions } = topicMetrics
  meter.gauge(active, (hub) => hub.size)
  meter.gauge(subscriptions, ({ counts }) => counts.subscriptions)
  meter.gauge(behind, ({ counts }) => counts.behind)
  meter.gauge(lag, (hub) => hub.lag, (all) => Math.max(0, ...all))
  meter.counter(publications, ({ counts }) => counts.publications)
  meter.counter(deliveries, ({ counts }) => counts.deliveries)
  meter.counter(recoveries, ({ counts }) => counts.recoveries)
  meter.frequency(gaps, ({ counts }) => counts.gaps)
  meter.frequency(brokerErrors, ({ counts }) => counts.errors)
})
