/** Makes the publishable packages: `dist` with modules, declarations and source maps, from nothing. */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { exitWith, root, tsc } from "./lib/commands.ts"

const packages = ["packages/core", "packages/node"]

// A module that was renamed must not live on in `dist`.
for (const folder of packages) rmSync(join(root, folder, "dist"), { recursive: true, force: true })

exitWith(await tsc(["-b", ...packages], { cwd: root }))
