/**
 * Which test files are nearest to a source: its mirror, or the one that CONTRIBUTING.md names; then those that import it by the
 * shortest way, where those of another folder count as two steps farther.
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
    const farther = (test: string): number => dirname(test) === dirname(mirror) ? 0 : 2
    const distances = new Map<string, number>()
    const seen = new Set([file])
    for (let level = [file], steps = 1; level.length > 0; steps++) {
      const next = [...new Set(level.flatMap((one) => importers.get(one) ?? []))].filter((one) => !seen.has(one))
      for (const one of next) {
        seen.add(one)
        if (one.endsWith(".test.ts")) distances.set(one, steps + farther(one))
      }
      level = next
    }
    if (first !== undefined && existsSync(first)) distances.set(first, 0)
    const found = [...distances].sort(([a, far], [b, near]) => far - near || (a < b ? -1 : 1)).map(([test]) => test)
    return [file, found.slice(0, most)]
  }))
}
