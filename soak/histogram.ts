/** Latencies by the million, in little memory: buckets that are each 5 % wider than the one before. */

const growth = Math.log(1.05)
const smallest = 0.001

const bucketOf = (millis: number): number => millis <= smallest ? 0 : Math.ceil(Math.log(millis / smallest) / growth)

/** Percentiles read the upper end of a bucket, so they are at most 5 % too high. */
const upperEnd = (bucket: number): number => smallest * Math.exp(bucket * growth)

/** As it is sent between processes. */
export interface Recorded {
  readonly buckets: ReadonlyArray<readonly [bucket: number, count: number]>
  readonly max: number
}

export class Histogram {
  private readonly counts = new Map<number, number>()
  private total = 0
  private highest = 0

  get count(): number {
    return this.total
  }

  get max(): number {
    return this.highest
  }

  record(millis: number): void {
    this.put(bucketOf(millis), 1)
    this.highest = Math.max(this.highest, millis)
  }

  private put(bucket: number, count: number): void {
    this.counts.set(bucket, (this.counts.get(bucket) ?? 0) + count)
    this.total += count
  }

  merge({ buckets, max }: Recorded): void {
    for (const [bucket, count] of buckets) this.put(bucket, count)
    this.highest = Math.max(this.highest, max)
  }

  /** What was recorded; begins anew. */
  take(): Recorded {
    const recorded = { buckets: [...this.counts], max: this.highest }
    this.counts.clear()
    this.total = this.highest = 0
    return recorded
  }

  /** What `share` of all were at most; 0 without any. */
  percentile(share: number): number {
    let left = Math.ceil(this.total * share)
    for (const [bucket, count] of [...this.counts].sort(([a], [b]) => a - b)) {
      left -= count
      if (left <= 0) return Math.min(upperEnd(bucket), this.highest)
    }
    return 0
  }
}
