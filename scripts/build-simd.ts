/** Makes `SimdModule.ts` from `Simd.wat`. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import wabt from "wabt"
import { root } from "./lib/commands.ts"

const folder = join(root, "packages/core/src/codec")

const { parseWat } = await wabt()
const { buffer } = parseWat("Simd.wat", readFileSync(join(folder, "Simd.wat"), "utf8"), { simd: true, bulk_memory: true }).toBinary({})

const lines = Buffer.from(buffer).toString("base64").match(/.{1,110}/g) ?? []
writeFileSync(
  join(folder, "SimdModule.ts"),
  `/**
 * The bytes of \`Simd.wat\`, made by \`node scripts/build-simd.ts\`.
 *
 * @internal
 */
export const simdModule =
  ${lines.map((line) => `"${line}"`).join(" +\n  ")}
`
)
