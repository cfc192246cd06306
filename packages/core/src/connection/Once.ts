/** Those who want to know of something that happens once. */
export class Once {
  private readonly listeners = new Set<() => void>()

  /** Adds a listener; the result takes it away. */
  add(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** It happens: all are told and forgotten. */
  happen(): void {
    for (const listener of this.listeners) listener()
    this.listeners.clear()
  }
}
