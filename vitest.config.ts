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
    // Most of the time of a program that a test starts goes into compiling what it imports.
    env: { NODE_COMPILE_CACHE: `${import.meta.dirname}/build/compiled` },
    // Many tests wait for sockets and child processes, so a second worker fills two cores.
    maxWorkers: "100%"
  }
})
