/**
 * Type-checks packages, tests, benchmarks, examples and scripts in one build, with Effect's diagnostics: its errors and
 * warnings fail as TypeScript's errors do.
 */
import { exitWith, root, tsc } from "./lib/commands.ts"

// From the start each time: TypeScript 7.0 keeps the errors of an earlier run when only a tsconfig has changed.
exitWith(await tsc(["-b", "--force", ...process.argv.slice(2)], { cwd: root }))
