/**
 * Which test files are nearest to a source: its mirror, or the one that CONTRIBUTING.md names; then those that import it by the
 * shortest way, and among them those of its own folder.
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, matchesGlob, relative, resolve } from "node:path"
import { exceptionsOf, mirrorOf } from "../lib/mirrors.ts"

const importsOf = (file: string): Array<string> =>
  Array.from(
    readFileSync(file, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+\.ts)"/g),
    ([, specifier]) => resolve(dirname(file), specifier!)
  )

/** For each file at most `most` test files, the nearest first. */
export const nearestTests = (
  root: string,
  files: ReadonlyArray<string>,
  most: number
): Map<string, ReadonlyArray<string>> => {
  const importers = new Map<string, Array<string>>()
  const sources = globSync("packages/*/{src,test}/**/*.ts", { cwd: root }).map((file) => join(root, file))
  for (const file of sources) {
    for (const imported of importsOf(file)) {
      const known = importers.get(imported)
      if (known === undefined) importers.set(imported, [file])
      else known.push(file)
    }
  }
  const exceptions = exceptionsOf(readFileSync(join(root, "CONTRIBUTING.md"), "utf8"))
  return new Map(files.map((file) => {
    const mirror = mirrorOf(file)
    const named = exceptions.find((one) => matchesGlob(relative(root, file), one.module))
    const first = existsSync(mirror) ? mirror : named === undefined ? undefined : join(root, named.test)
    const found = first !== undefined && existsSync(first) ? [first] : []
    const isAside = (test: string): number => dirname(test) === dirname(mirror) ? 0 : 1
    const seen = new Set([file])
    for (let level = [file]; level.length > 0 && found.length < most;) {
      const next = level.flatMap((one) => importers.get(one) ?? []).filter((one) => !seen.has(one))
      for (const one of next) seen.add(one)
      level = [...new Set(next)].sort((a, b) => isAside(a) - isAside(b) || (a < b ? -1 : 1))
      found.push(...level.filter((one) => one.endsWith(".test.ts") && one !== first))
    }
    return [file, found.slice(0, most)]
  }))
}
