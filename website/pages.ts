/**
 * Puts the pages together: the documents as they are, with their links turned into links of the site. A link to a source
 * file leads to a page that shows it.
 */
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, extname, join, normalize } from "node:path"
import { withoutCode } from "../scripts/lib/markdown.ts"
import { others, pageOf, pages, root } from "./layout.ts"

const languages: ReadonlyMap<string, string> = new Map([
  [".ts", "ts"], [".js", "js"], [".mjs", "js"], [".json", "json"], [".css", "css"], [".html", "html"], [".yaml", "yaml"]
])

const write = (page: string, text: string): void => {
  const file = join(pages, `${page}.md`)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

/** Writes all pages, and returns how many. */
export const writePages = (): number => {
  const shown = new Set<string>()
  const documents = new Set([...others, ...globSync("docs/*.md", { cwd: root }).map((file) => file.replaceAll("\\", "/"))])

  const linkOf = (from: string, target: string): string => {
    if (/^[a-z][a-z+.-]*:/i.test(target) || target.startsWith("#")) return target
    const [path = "", anchor] = target.split("#", 2)
    const file = normalize(join(dirname(from), path)).replaceAll("\\", "/").replace(/\/$/, "")
    const to = (page: string) => `/${page}${anchor === undefined ? "" : `#${anchor}`}`
    if (!existsSync(join(root, file))) throw new Error(`${from}: ${target} does not exist`)
    const page = pageOf(file)
    if (page !== undefined) {
      documents.add(file)
      return to(page)
    }
    if ([".svg", ".png"].includes(extname(file))) {
      const name = file.slice(file.lastIndexOf("/") + 1)
      cpSync(join(root, file), join(pages, name))
      return `./${name}`
    }
    // A folder is shown by its document.
    if (statSync(join(root, file)).isDirectory()) {
      return linkOf(from, `${path.replace(/\/$/, "")}/README.md`)
    }
    shown.add(file)
    return to(`source/${file}`)
  }

  const turned = (file: string): string => {
    const text = readFileSync(join(root, file), "utf8")
    const bare = withoutCode(text).split("\n")
    return text.split("\n").map((line, index) =>
      // Lines of code, and what is code within a line, are blank in `bare`.
      line.replaceAll(/\]\(\s*<?([^()\s<>]+)>?(\s+"[^"]*")?\s*\)/g, (whole, target: string, title: string | undefined, at: number) =>
        bare[index]!.startsWith("](", at) ? `](${linkOf(file, target)}${title ?? ""})` : whole)
    ).join("\n")
  }

  // Documents that are found by their links are added while this runs.
  for (const file of documents) write(pageOf(file)!, turned(file))
  for (const file of shown) {
    const text = readFileSync(join(root, file), "utf8").trimEnd()
    const name = file.slice(file.lastIndexOf("/") + 1)
    write(`source/${file}`, `# ${name}\n\n\`${file}\`\n\n\`\`\`\`\`${languages.get(extname(file)) ?? "txt"}\n${text}\n\`\`\`\`\`\n`)
  }
  return documents.size + shown.size
}
