/**
 * Listeners to something that happens once. Most connections have one or two of them, so there
 * is no set until there are more.
 */
export class Listeners {
  private first: (() => void) | undefined
  private others: Set<() => void> | undefined

  /** How many listeners wait. */
  get size(): number {
    return (this.first === undefined ? 0 : 1) + (this.others?.size ?? 0)
  }

  /** Adds a listener and returns what removes it. */
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

  /** It happens: all listeners are called and removed. */
  happen(): void {
    const { first, others } = this
    this.first = this.others = undefined
    first?.()
    if (others !== undefined) for (const listener of others) listener()
  }
}
