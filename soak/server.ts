/** The server that is soaked: a faithful one. */
import { run } from "./serverProgram.ts"

run({ echo: (batch) => batch })
