/** Where each document of the repository lies on the site, and what the sidebar shows. */
import { readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { fileURLToPath } from "node:url"
import { headingsOf, linksOf } from "../scripts/lib/markdown.ts"

/** The repository's folder. */
export const root = fileURLToPath(new URL("..", import.meta.url))

/** Where the pages are put together, for VitePress to build. */
export const pages = join(root, "website/pages")

const named: ReadonlyMap<string, string> = new Map([
  ["README.md", "index"],
  ["docs/README.md", "documentation"],
  ["CHANGELOG.md", "changelog"],
  ["CONTRIBUTING.md", "contributing"],
  ["SECURITY.md", "security"],
  ["THREAT_MODEL.md", "threat-model"],
  ["examples/README.md", "examples"]
])

/** The page of a document, without its ending; `undefined` for a file that is not a document. */
export const pageOf = (file: string): string | undefined => {
  const page = named.get(file)
  if (page !== undefined || !file.endsWith(".md")) return page
  if (file.startsWith("docs/")) return file.slice("docs/".length, -".md".length)
  // A document beside programs, such as `benchmark/README.md`.
  return `about/${file.slice(0, -".md".length).replace(/\/README$/, "")}`
}

/** The documents outside `docs/` that have a page in any case; others get one if a document links to them. */
export const others: ReadonlyArray<string> = [...named.keys()]

export interface SidebarItem {
  text: string
  link?: string
  collapsed?: boolean
  items?: Array<SidebarItem>
}

/** The sidebar: the sections of the index, in its order. */
export const sidebar = (): Array<SidebarItem> => {
  const index = "docs/README.md"
  const text = readFileSync(join(root, index), "utf8")
  const lines = text.split("\n")
  const sections: Array<SidebarItem & { items: Array<SidebarItem> }> = []
  const titles = headingsOf(text).filter(({ level }) => level === 2).map(({ title }) => title)
  const links = linksOf(text)
  for (const [number, line] of lines.entries()) {
    const title = line.startsWith("## ") ? titles[sections.length] : undefined
    if (title !== undefined) sections.push({ text: title, items: [] })
    const link = line.startsWith("- [") ? links.find((one) => one.line === number + 1) : undefined
    const page = link && pageOf(normalize(join(dirname(index), link.target)).replaceAll("\\", "/"))
    const name = /^- \[([^\]]+)\]/.exec(line)?.[1]
    if (page !== undefined && name !== undefined) sections.at(-1)?.items.push({ text: name, link: `/${page}` })
  }
  return sections
}
