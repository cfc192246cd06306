/**
 * Each module has a test file that mirrors it: `packages/core/test/http/Tokens.test.ts` for `packages/core/src/http/Tokens.ts`.
 * Modules of types alone and indexes need none; the table of CONTRIBUTING.md names the others, with the test that proves them
 * and the reason.
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { join, matchesGlob } from "node:path"
import { root } from "./lib/commands.ts"
import { type Exception, exceptionsOf, mirrorOf } from "./lib/mirrors.ts"

/** Whether nothing is left of a source without its types and imports. */
const isTypes = (source: string): boolean =>
  stripTypeScriptTypes(source)
    .replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "")
    .replaceAll(/^(?:import|export)\b[^"]*?from\s*"[^"]+"|^(?:import|export)\s*(?:type\s*)?\{[^}]*\}|;/gm, "")
    .trim() === ""

const faultsOf = (
  modules: ReadonlyMap<string, string>,
  tests: ReadonlySet<string>,
  exceptions: ReadonlyArray<Exception>
): Array<string> => {
  const faults: Array<string> = []
  const used = new Set<Exception>()
  for (const [module, source] of modules) {
    if (tests.has(mirrorOf(module)) || module.endsWith("/index.ts") || isTypes(source)) continue
    const exception = exceptions.find((one) => matchesGlob(module, one.module))
    if (exception === undefined) faults.push(`${module}: no ${mirrorOf(module)}, and no row in CONTRIBUTING.md`)
    else used.add(exception)
  }
  for (const exception of exceptions) {
    if (!used.has(exception)) faults.push(`CONTRIBUTING.md: ${exception.module} needs no row`)
    if (![...tests].some((test) => matchesGlob(test, exception.test))) faults.push(`CONTRIBUTING.md: there is no ${exception.test}`)
  }
  return faults
}

// A check that never fires proves nothing: it is first shown what is wrong, and what is right.
const one = "packages/a/src/b/C.ts"
const code = "export const c = 1"
const samples: ReadonlyArray<readonly [source: string, tests: ReadonlyArray<string>, document: string, faults: number]> = [
  [code, ["packages/a/test/b/C.test.ts"], "", 0],
  [code, [], "", 1],
  ["/** const */\nimport type { D } from \"./D.ts\"\nexport type { D } from \"./D.ts\"\nexport interface C { readonly d: D }", [], "", 0],
  ["export type C = 1\nexport const c = 1", [], "", 1],
  [code, ["packages/a/test/D.test.ts"], "| `packages/a/src/b/*.ts` | `packages/a/test/D.test.ts` | it is small |", 0],
  [code, [], "| `packages/a/src/b/*.ts` | `packages/a/test/D.test.ts` | it is small |", 1],
  [code, ["packages/a/test/b/C.test.ts"], "| `packages/a/src/b/C.ts` | `packages/a/test/b/C.test.ts` | none |", 1]
]
for (const [source, tests, document, expected] of samples) {
  const found = faultsOf(new Map([[one, source]]), new Set(tests), exceptionsOf(document))
  if (found.length !== expected) throw new Error(`the check of mirrors is blind: ${source} ${document}: ${found.join(", ")}`)
}

const files = (pattern: string): Array<string> => globSync(pattern, { cwd: root }).map((file) => file.replaceAll("\\", "/")).sort()
const modules = new Map(files("packages/*/src/**/*.ts").map((file) => [file, readFileSync(join(root, file), "utf8")]))
const tests = new Set(files("packages/*/test/**/*.test.ts"))
const contributing = join(root, "CONTRIBUTING.md")
const exceptions = existsSync(contributing) ? exceptionsOf(readFileSync(contributing, "utf8")) : []
const faults = faultsOf(modules, tests, exceptions)
for (const fault of faults) console.error(fault)
if (faults.length > 0) process.exitCode = 1
else console.log(`mirrors: ${modules.size} modules, each with its test file or a row in CONTRIBUTING.md`)
