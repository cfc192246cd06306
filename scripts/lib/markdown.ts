/** Just enough reading of Markdown for the checks of documents and for the site. */

export interface Link {
  /** Counted from 1. */
  readonly line: number
  /** The target as it is written, without a title. */
  readonly target: string
}

/** A document with its code blanked out, so that what looks like a link or a heading in code is none. */
export const withoutCode = (text: string): string => {
  let fence: string | undefined
  const lines = text.split("\n").map((line) => {
    const match = /^\s*(`{3,}|~{3,})/.exec(line)
    if (fence !== undefined) {
      if (match !== null && match[1]!.startsWith(fence)) fence = undefined
      return ""
    }
    if (match === null) return line
    fence = match[1]!
    return ""
  })
  return lines.join("\n").replaceAll(/(`+)(?!`)[^\n]*?[^`\n]\1(?!`)/g, (code) => " ".repeat(code.length))
}

/** The links and images of a document. */
export const linksOf = (text: string): ReadonlyArray<Link> =>
  withoutCode(text).split("\n").flatMap((line, index) =>
    // The text in brackets may hold an image, or brackets of its own.
    [...line.matchAll(/\]\(\s*<?([^()\s<>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(([, target]) => ({ line: index + 1, target: target! }))
  )

/** The anchor of a heading, as GitHub makes it. */
export const slugOf = (heading: string): string =>
  heading.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, "").replaceAll(" ", "-")

/** What a heading reads as: no emphasis, code marks or links. */
const plain = (heading: string): string =>
  heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[`*]/g, "")

/** The headings of a document, with their levels. */
export const headingsOf = (text: string): ReadonlyArray<{ readonly level: number; readonly title: string }> => {
  const bare = withoutCode(text).split("\n")
  return text.split("\n").flatMap((line, index) => {
    const match = /^(#{1,6})\s+(.+?)\s*#*$/.exec(line)
    return match === null || !bare[index]!.startsWith("#") ? [] : [{ level: match[1]!.length, title: plain(match[2]!) }]
  })
}

/** The anchors of a document. Of equal headings the later ones are numbered. */
export const anchorsOf = (text: string): ReadonlySet<string> => {
  const seen = new Map<string, number>()
  return new Set(headingsOf(text).map(({ title }) => {
    const slug = slugOf(title)
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  }))
}

/** The rows of all tables of a document, each as its cells. */
export const rowsOf = (text: string): ReadonlyArray<ReadonlyArray<string>> =>
  text.split("\n").filter((line) => line.startsWith("|") && !/^\|[-:| ]+\|$/.test(line))
    .map((line) => line.replaceAll("\\|", "\u0000").split("|").slice(1, -1).map((cell) => cell.replaceAll("\u0000", "|").trim()))
