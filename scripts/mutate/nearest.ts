/** Which test files are nearest to a source: its mirror, then those that import it by the shortest way. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"

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
  return new Map(files.map((file) => {
    const mirror = file.replace("/src/", "/test/").replace(/\.ts$/, ".test.ts")
    const found = existsSync(mirror) ? [mirror] : []
    const seen = new Set([file])
    for (let level = [file]; level.length > 0 && found.length < most;) {
      const next = level.flatMap((one) => importers.get(one) ?? []).filter((one) => !seen.has(one)).sort()
      for (const one of next) seen.add(one)
      level = [...new Set(next)]
      found.push(...level.filter((one) => one.endsWith(".test.ts") && one !== mirror))
    }
    return [file, found.slice(0, most)]
  }))
}
