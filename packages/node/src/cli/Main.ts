#!/usr/bin/env node
/**
 * The program `effect-ws`.
 */
import "../transport/NodeVersion.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { readFileSync } from "node:fs"
import { effectWs } from "./EffectWs.ts"
import { type Failure, status } from "./Failure.ts"
import * as Style from "./terminal/Style.ts"

const style = Style.of(process.stderr)

/** For a mistake in the command line: says what is wrong and how to get help, instead of printing the whole help. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    const lines = event.errors.map((error) => Style.visible(error.message))
    return Console.error([
      ...lines.map((line) => `${style.red(style.bold("error:"))} ${line}`),
      style.dim(`usage: ${event.helpDoc.usage}`),
      style.dim(`${event.commandPath.join(" ")} --help says more`)
    ].join("\n"))
  }
}

const version = (): string => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    readonly version: string
  }
  return version
}

const report = (failure: Failure): Effect.Effect<number> =>
  Effect.as(failure.text === "" ? Effect.void : Console.error(failure.text), failure.status)

const program = Command.run(effectWs, { version: version() }).pipe(
  Effect.as<number>(status.success),
  Effect.catchTag("Failure", report),
  // The presenter has already described the mistake in the command line.
  Effect.catch(() => Effect.succeed(status.usage)),
  Effect.provide(Layer.mergeAll(
    NodeServices.layer,
    CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
    CliOutput.layerPresenter(presenter),
    // The commands write their own output.
    Logger.layer([])
  ))
)

const statusOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return typeof exit.value === "number" ? exit.value : status.success
  if (Cause.hasInterruptsOnly(exit.cause)) return status.interrupted
  process.stderr.write(`${style.red("This is a fault in effect-ws; please report it:")}\n${Cause.pretty(exit.cause)}\n`)
  return status.internal
}

// The reader of the output has closed the pipe, as `head` does once it has enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(status.success)
  // Output that cannot be written, as on a full disk, is a failure.
  process.stderr.write(`${style.red(`The output could not be written: ${error.message}`)}\n`)
  process.exit(status.failed)
})

// A closed stderr ends nothing.
process.stderr.on("error", () => {})

// The first interruption closes connections properly; the second one does not wait for that.
let interruptions = 0
process.on("SIGINT", () => {
  if (++interruptions > 1) process.exit(status.interrupted)
})

NodeRuntime.runMain(program, {
  disableErrorReporting: true,
  teardown: (exit) => {
    const code = statusOf(exit)
    // Exit only after stdout has taken everything: a pipe may be slower than this program.
    process.stdout.write("", () => process.exit(code))
  }
})
