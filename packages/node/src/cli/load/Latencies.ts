/**
 * Latencies in a histogram of three significant digits, from a microsecond to an hour.
 */
import { createHistogram } from "node:perf_hooks"

export const percentiles = [50, 75, 90, 95, 99, 99.9, 99.99] as const

export interface Summary {
  readonly count: number
  /** All in milliseconds. */
  readonly least: number
  readonly mean: number
  readonly most: number
  readonly percentiles: ReadonlyArray<readonly [percentile: number, millis: number]>
}

export class Latencies {
  private readonly histogram = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 })

  record(millis: number): void {
    this.histogram.record(Math.max(1, Math.min(3_600_000_000, Math.round(millis * 1000))))
  }

  get count(): number {
    return this.histogram.count
  }

  /** In milliseconds; 0 if nothing was recorded. */
  at(percentile: number): number {
    return this.count === 0 ? 0 : this.histogram.percentile(percentile) / 1000
  }

  get summary(): Summary {
    const { histogram } = this
    return {
      count: this.count,
      least: this.count === 0 ? 0 : histogram.min / 1000,
      mean: this.count === 0 ? 0 : histogram.mean / 1000,
      most: this.count === 0 ? 0 : histogram.max / 1000,
      percentiles: percentiles.map((percentile) => [percentile, this.at(percentile)])
    }
  }
}
