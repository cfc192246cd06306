/** The command line as a whole: help, completions, and that a program which imports the library loads none of it. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as TestConsole from "effect/testing/TestConsole"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { effectWs } from "../../src/cli/EffectWs.ts"
import { run } from "./support/Cli.ts"

const output = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    yield* Command.runWith(effectWs, { version: "1.2.3" })(args)
    return (yield* TestConsole.logLines).join("\n")
  }).pipe(Effect.provide(NodeServices.layer))

const commands = ["connect", "serve", "inspect", "replay", "conformance", "load"]

describe("effect-ws", () => {
  it.effect("lists its commands and says what exit statuses mean", () =>
    Effect.gen(function*() {
      const help = yield* output("--help")
      for (const command of commands) assert.match(help, new RegExp(`^ +${command} {2,}\\S`, "m"))
      assert.include(help, "Exit statuses: 0 success, 1 ")
    }))

  it.effect.each(commands)("%s --help describes each flag and has examples", (command) =>
    Effect.gen(function*() {
      const help = yield* output(command, "--help")
      assert.match(help, new RegExp(`effect-ws ${command} \\[flags\\]`))
      assert.include(help, "EXAMPLES")
      const own = help.slice(help.indexOf("FLAGS"), help.indexOf("GLOBAL FLAGS"))
      const flags = own.split("\n").filter((line) => line.trim().startsWith("--"))
      assert.isAbove(flags.length, 4)
      for (const flag of flags) assert.match(flag, /^ +--\S+.* {2,}\S.*\S$/)
    }))

  it.effect.each(commands)("docs/cli.md names the flags of %s, and no others", (command) =>
    Effect.gen(function*() {
      const page = readFileSync(new URL("../../../../docs/cli.md", import.meta.url), "utf8")
      const section = page.split("\n## ").find((part) => part.startsWith(`${command}\n`)) ?? ""
      const named = new Set(Array.from(section.matchAll(/(?<![\w-])--([a-z][a-z0-9-]*)/g), ([, flag]) => flag!.replace(/^no-/, "")))
      const help = yield* output(command, "--help")
      const own = help.slice(help.indexOf("FLAGS"), help.indexOf("GLOBAL FLAGS"))
      const real = Array.from(own.matchAll(/^ +--([a-z0-9-]+)/gm), ([, flag]) => flag!)
      assert.deepStrictEqual([...named].sort(), real.sort())
    }))

  it.effect.each([
    ["serve", "--port", "65536"],
    ["inspect", "ws://127.0.0.1/", "--port", "-1"],
    ["inspect", "ws://127.0.0.1/", "--page-port", "65536"],
    ["replay", "session.jsonl", "--listen", "-p", "65536"],
    ["conformance", "--client", "--port", "65536"]
  ])("%s listens on no port that is none", (args) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Command.runWith(effectWs, { version: "1.2.3" })(args))
      const mistakes = error._tag === "ShowHelp" ? error.errors.map(({ message }) => message).join("\n") : String(error)
      assert.include(mistakes, "a port from 0 to 65535")
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("prints completions that a shell understands", () =>
    Effect.gen(function*() {
      const script = yield* output("--completions", "bash")
      const completed = `${script}\nCOMP_LINE='effect-ws con' COMP_POINT=13 COMP_CWORD=1\nCOMP_WORDS=(effect-ws con)\n` +
        `_effect_ws effect-ws con effect-ws\necho "\${COMPREPLY[@]}"`
      const { error, stdout } = spawnSync("bash", ["--norc", "-c", completed], { encoding: "utf8" })
      // Without bash there is nothing to try, but it is printed all the same.
      if (error === undefined) assert.deepStrictEqual(stdout.trim().split(" ").sort(), ["conformance", "connect"])
      assert.include(script, "complete -F")
    }))

  it("says its version, and shows its help where no command is given, status 2", async () => {
    const version = await run(["--version"])
    assert.match(version.stdout, /^effect-ws v\d+\.\d+\.\d+\n$/)
    const nothing = await run([])
    assert.strictEqual(nothing.status, 2)
    assert.include(nothing.stdout, "SUBCOMMANDS")
  })
})
