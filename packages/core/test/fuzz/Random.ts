/** Random numbers that a seed gives again: sfc32, quick enough for millions of inputs. */
export class Random {
  private a: number
  private b: number
  private c: number
  private counter = 1

  constructor(seed: number) {
    this.a = 0x9e3779b9 ^ Math.floor(seed / 2 ** 32)
    this.b = 0x243f6a88
    this.c = seed | 0
    for (let i = 0; i < 12; i++) this.next()
  }

  /** 32 bits. */
  next(): number {
    const sum = (this.a + this.b + this.counter++) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** An integer from 0 up to, not including, `bound`. */
  below(bound: number): number {
    return this.next() % bound
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0
  }

  pick<A>(items: ReadonlyArray<A>): A {
    return items[this.below(items.length)]
  }

  /** Mostly small. */
  size(most: number): number {
    return this.below(1 + this.below(1 + this.below(most)))
  }

  bytes(size: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(size)
    for (let i = 0; i < size; i++) bytes[i] = this.next()
    return bytes
  }
}
