/** Builds the site into `build/site`: `npm run docs:build`. It fails on a dead link, and where TypeDoc warns. */
import { rmSync } from "node:fs"
import { build } from "vitepress"
import { tsc } from "../scripts/lib/commands.ts"
import { pages, root } from "./layout.ts"
import { writePages } from "./pages.ts"
import { writeReference } from "./reference.ts"

const checked = await tsc(["-p", `${root}website`, "--pretty", "false"], { cwd: root, quiet: true })
if (checked.status !== 0) throw new Error(checked.output)

rmSync(pages, { recursive: true, force: true })
const documents = writePages()
const modules = await writeReference()
await build(`${root}website`)
console.log(`site: ${documents} pages and the reference of ${modules} modules, in build/site`)
