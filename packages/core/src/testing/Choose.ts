/** Decisions that a seed reproduces: a generator after Marsaglia's xorshift. */
export class Choose {
  private state: number

  constructor(seed: number) {
    // Never 0, which would stay 0. Seeds that are close to each other are spread apart.
    this.state = (Math.imul(Math.trunc(seed) ^ 0x5bd1e995, 0x9e3779b1) | 0) || 1
    for (let i = 0; i < 8; i++) this.below(2)
  }

  /** An integer from 0 up to, not including, `bound`. */
  below(bound: number): number {
    let x = this.state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.state = x
    return (x >>> 0) % bound
  }

  /** An integer from `min` to `max`. */
  between(min: number, max: number): number {
    return min >= max ? min : min + this.below(max - min + 1)
  }
}
