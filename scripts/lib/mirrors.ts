/** Which test file proves a module: its mirror, or the one that the table of CONTRIBUTING.md names. */

/** A row of the table; both are patterns. */
export interface Exception {
  readonly module: string
  readonly test: string
}

const row = /^\| `(packages\/[^`]+\.ts)` \| `(packages\/[^`]+\.test\.ts)` \| [^|]+ \|$/gm

export const exceptionsOf = (document: string): Array<Exception> =>
  Array.from(document.matchAll(row), ([, module, test]) => ({ module: module!, test: test! }))

export const mirrorOf = (module: string): string => module.replace("/src/", "/test/").replace(/\.ts$/, ".test.ts")
