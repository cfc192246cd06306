/** Mutants that no test can notice, because the program means the same, each with the reason. */
export interface Equivalent {
  readonly file: string
  /** A part of the line. */
  readonly line: string
  /** What is changed there to what; left out: whatever is changed. */
  readonly change?: ReadonlyArray<readonly [from: string, to?: string]>
  readonly why: string
}

export const equivalents: ReadonlyArray<Equivalent> = [
  {
    file: "packages/core/src/codec/Utf8.ts",
    line: "if (first >= 0xc2 && first < 0xe0 && i + 1 < end) {",
    change: [[">=", ">"], ["0xc2", "195"], ["1", "2"], ["first >= 0xc2 && first < 0xe0 && i + 1 < end", "false"]],
    why: "a shorter way for most characters: the code below it finds the same"
  },
  {
    file: "packages/core/src/codec/Utf8.ts",
    line: "if (first > 0xe0 && first < 0xed && i + 2 < end) {",
    change: [["0xe0", "225"], ["2", "3"], ["first > 0xe0 && first < 0xed && i + 2 < end", "false"]],
    why: "a shorter way for most characters: the code below it finds the same"
  },
  {
    file: "packages/core/src/connection/Link.ts",
    line: "if (this.accounted > 0) this.account()",
    change: [[">", ">="], ["this.accounted > 0", "true"]],
    why: "spares a look at what is held: reading lessens it, and from less than a page there is nothing to give back"
  },
  {
    file: "packages/core/src/connection/LinkClosing.ts",
    line: "if (this.goneAt === undefined) this.over()",
    change: [["this.goneAt === undefined", "true"]],
    why: "spares the steps of the end a second time: each of them is taken once"
  },
  {
    file: "packages/core/src/connection/Pings.ts",
    line: "view.setUint32(0, this.counter++)",
    change: [["++", "--"]],
    why: "another number each time, whichever way it counts"
  },
  {
    file: "packages/core/src/http/Tokens.ts",
    line: "if (values.length === 1 && equalsIgnoreCase(values[0], token)) return true",
    change: [["values.length === 1 && equalsIgnoreCase(values[0], token)", "false"]],
    why: "a shorter way for a list of one: the code below it finds the same"
  },
  {
    file: "packages/core/src/protocol/ExtensionDecoding.ts",
    line: "private at = 0",
    why: "`push` sets it before it is read"
  },
  {
    file: "packages/core/src/protocol/ExtensionDecoding.ts",
    line: "private last = false",
    why: "`push` sets it before it is read"
  }
]
