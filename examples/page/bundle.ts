/** Bundles a script of several modules, TypeScript among them, into one file that a browser runs. `external` modules stay outside. */
import { Effect } from "effect"
import { rolldown } from "rolldown"

export const bundle = (file: string, external: Array<RegExp> = []): Effect.Effect<string> =>
  Effect.acquireUseRelease(
    Effect.promise(() => rolldown({ input: file, platform: "browser", external })),
    (build) =>
      Effect.map(
        Effect.promise(() => build.generate({ format: "esm", minify: true })),
        ({ output }) => output[0].code
      ),
    (build) => Effect.promise(() => build.close())
  )
