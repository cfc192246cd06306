import { defineConfig } from "vitest/config"

// Workspace packages are resolved to their sources, by the `exports` that they have in development.
export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/test/**/*.test.ts"],
    // The summary is what `.ci/run` counts.
    reporters: ["default", "json"],
    outputFile: { json: "build/test-results.json" },
    allowOnly: false,
    passWithNoTests: false,
    testTimeout: 20_000,
    // Many tests wait for sockets and child processes, so a second worker fills two cores.
    maxWorkers: "100%"
  }
})
