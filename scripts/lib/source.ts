/** Just enough reading of TypeScript for the checks of this folder. Lines and columns stay where they were. */

const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g

const blank = (text: string) => text.replaceAll(/[^\n]/g, " ")

/** The source with its comments blanked out. */
export const withoutComments = (source: string): string =>
  source.replaceAll(token, (found) => (found.startsWith("/*") || found.startsWith("//") ? blank(found) : found))

/** The source with its comments and its strings blanked out. */
export const withoutStrings = (source: string): string => source.replaceAll(token, blank)
