/** Writes the API reference: one page for each public module, out of the JSDoc of the sources. */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { Application } from "typedoc"
import type { PluginOptions } from "typedoc-plugin-markdown"
import { pages, root, type SidebarItem } from "./layout.ts"

/** The public modules, by the folder of the reference that they are in. */
const modules: ReadonlyArray<readonly [folder: string, name: string, source: string]> = [
  ["core", "@effect-ws/core", "packages/core/src"],
  ["realtime", "@effect-ws/core/realtime", "packages/core/src/realtime"],
  ["testing", "@effect-ws/core/testing", "packages/core/src/testing"],
  ["node", "@effect-ws/node", "packages/node/src"]
]

const filesOf = (source: string): ReadonlyArray<string> =>
  // What a package does not export is no module of its reference.
  globSync(source.endsWith("testing") ? "Test*.ts" : "*.ts", { cwd: join(root, source) })
    .filter((file) => file !== "index.ts").toSorted()

const options = (): Record<string, unknown> => {
  const plugin: Partial<PluginOptions> = {
    hideBreadcrumbs: true,
    hidePageHeader: true,
    useCodeBlocks: true,
    parametersFormat: "table",
    entryFileName: "index"
  }
  return {
    entryPoints: modules.flatMap(([, , source]) => filesOf(source).map((file) => join(root, source, file))),
    tsconfig: join(root, "website/reference.tsconfig.json"),
    basePath: join(root, "packages"),
    plugin: ["typedoc-plugin-markdown"],
    router: "module",
    out: join(pages, "api"),
    readme: "none",
    excludeInternal: true,
    excludePrivate: true,
    // What an error inherits from Effect's classes is documented there.
    excludeExternals: true,
    excludeTags: ["@since"],
    disableSources: true,
    hideGenerator: true,
    name: "API",
    logLevel: "Warn",
    treatWarningsAsErrors: true,
    validation: { notExported: false, invalidLink: true, notDocumented: false },
    ...plugin
  }
}

/** The folder of the reference in which a module lies, by its path under `packages/`. */
const folderOf = (path: string): string =>
  modules.find(([, , source]) => dirname(`packages/${path}`) === source)?.[0] ?? (() => {
    throw new Error(`the reference: ${path} is no public module`)
  })()

/** What a source says of itself: its first comment, as Markdown. TypeDoc would ask for a tag to find it. */
const introductionOf = (source: string): string => {
  const comment = /^\/\*\*\n([\s\S]*?)\*\//.exec(source)?.[1] ?? ""
  return comment.split("\n").map((line) => line.replace(/^ \* ?/, "")).join("\n").split(/^@/m, 1)[0]!
    .replaceAll(/\{@link ([^}]+)\}/g, "`$1`").trim()
}

/** Writes the reference, and returns how many modules it has. */
export const writeReference = async (): Promise<number> => {
  const app = await Application.bootstrapWithPlugins(options())
  const project = await app.convert()
  if (project === undefined) throw new Error("the reference: TypeDoc could not convert the sources")
  for (const module of project.children ?? []) module.name = `${folderOf(module.name)}/${basename(module.name)}`
  await app.generateOutputs(project)
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error("the reference: see the warnings above")

  let count = 0
  const index: Array<string> = ["# API reference\n"]
  for (const [folder, name, source] of modules) {
    index.push(`## ${name}\n`)
    for (const file of filesOf(source)) {
      const title = basename(file, ".ts")
      const page = join(pages, `api/${folder}/${title}.md`)
      const introduction = introductionOf(readFileSync(join(root, source, file), "utf8"))
      const head = `# ${title}\n\n${introduction}\n\n\`\`\`ts\nimport { ${title} } from "${name}"\n\`\`\`\n`
      writeFileSync(page, readFileSync(page, "utf8").replace(/^# .+\n/, () => head))
      const [sentence = ""] = introduction.split("\n\n", 1)
      index.push(`- [${title}](./${folder}/${title}.md): ${sentence.replaceAll("\n", " ")}`)
      count++
    }
    index.push("")
  }
  writeFileSync(join(pages, "api/index.md"), index.join("\n"))
  return count
}

/** The part of the sidebar that lists the modules. */
export const referenceSidebar = (): Array<SidebarItem> =>
  modules.map(([folder, text, source]) => ({
    text,
    items: filesOf(source).map((file) => ({
      text: basename(file, ".ts"),
      link: `/api/${folder}/${basename(file, ".ts")}`
    }))
  }))
