/** Listeners to steps that something takes, each of which is called once. */
export class Listeners<Step> {
  readonly #all = new Set<{ readonly step: Step; readonly listener: () => void }>()

  /** How many listeners wait. */
  get size(): number {
    return this.#all.size
  }

  /** Adds a listener and returns what removes it. */
  add(step: Step, listener: () => void): () => void {
    const one = { step, listener }
    this.#all.add(one)
    return () => this.#all.delete(one)
  }

  /** A step is taken: its listeners are called, in order, and removed. One that is added meanwhile waits for the next time. */
  happen(step: Step): void {
    for (const one of Array.from(this.#all)) if (one.step === step && this.#all.delete(one)) one.listener()
  }
}
