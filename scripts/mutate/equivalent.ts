/** Mutants that no test can notice, because the program means the same, each with the reason. */
export interface Equivalent {
  readonly file: string
  /** A part of the line. */
  readonly line: string
  /** What is changed there to what; left out: whatever is changed. */
  readonly change?: ReadonlyArray<readonly [from: string, to?: string]>
  readonly why: string
}

export const equivalents: ReadonlyArray<Equivalent> = []
