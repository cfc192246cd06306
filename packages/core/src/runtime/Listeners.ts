/**
 * Those who want to know of something that happens once. Most of the time they are one or
 * two, of each of many connections: so no set until there are more.
 */
export class Listeners {
  private first: (() => void) | undefined
  private others: Set<() => void> | undefined

  /** How many wait. */
  get size(): number {
    return (this.first === undefined ? 0 : 1) + (this.others?.size ?? 0)
  }

  /** Adds a listener; the result takes it away. */
  add(listener: () => void): () => void {
    if (this.first === undefined) {
      this.first = listener
      return () => {
        if (this.first === listener) this.first = undefined
      }
    }
    const others = this.others ??= new Set()
    others.add(listener)
    return () => others.delete(listener)
  }

  /** It happens: all are told and forgotten. */
  happen(): void {
    const { first, others } = this
    this.first = this.others = undefined
    first?.()
    if (others !== undefined) for (const listener of others) listener()
  }
}
