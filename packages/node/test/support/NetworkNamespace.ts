/**
 * Another host on this machine: a network namespace behind a pair of virtual interfaces, whose packets can be made to
 * vanish. It needs Linux, `ip` and the rights of root.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFileSync, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { until } from "./RawPeer.ts"

const ip = (...args: ReadonlyArray<string>) => execFileSync("ip", args, { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" })

// Of TEST-NET-2 (RFC 5737), which is no network's; by the process, since tests run side by side.
const block = 4 * (process.pid % 64)
const here = `198.51.100.${block + 1}`
const there = `198.51.100.${block + 2}`

const names = {
  namespace: `effect-ws-${process.pid}`,
  outside: `ews-a${process.pid % 1_000_000}`,
  inside: `ews-b${process.pid % 1_000_000}`
}

/** Why there can be none here; `undefined` if there can. */
export const missing = ((): string | undefined => {
  if (process.platform !== "linux") return "network namespaces are Linux's"
  if (process.getuid?.() !== 0) return "network namespaces need root"
  try {
    ip("netns", "add", names.namespace)
    ip("netns", "del", names.namespace)
    return undefined
  } catch (error) {
    return `no network namespace: ${error instanceof Error ? error.message.split("\n").at(-1) : String(error)}`
  }
})()

export interface OtherHost {
  /** The address of this side, and of the other. */
  readonly here: string
  readonly there: string
  /** Runs a program of `support` there; gives the lines that it prints. */
  readonly run: (file: string, ...args: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, never, Scope.Scope>
  /** From now on the other host is silent: what is sent to it gets lost, and nothing comes. */
  readonly vanish: Effect.Effect<void>
  /** It is there again. */
  readonly appear: Effect.Effect<void>
}

const setUp = (): void => {
  const { inside, namespace, outside } = names
  const within = (...args: ReadonlyArray<string>) => ip("-n", namespace, ...args)
  ip("netns", "add", namespace)
  ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", namespace)
  ip("addr", "add", `${here}/30`, "dev", outside)
  ip("link", "set", outside, "up")
  within("addr", "add", `${there}/30`, "dev", inside)
  within("link", "set", inside, "up")
  // Known for good: else the silence would become an error of its own, that no route leads there.
  const { address } = (JSON.parse(within("-j", "link", "show", "dev", inside)) as [{ readonly address: string }])[0]
  ip("neigh", "replace", there, "lladdr", address, "dev", outside, "nud", "permanent")
}

const tearDown = (): void => {
  for (const args of [["link", "del", names.outside], ["netns", "del", names.namespace]]) {
    try {
      ip(...args)
    } catch {
      // The set-up may have failed before it was there.
    }
  }
}

/** One host for each test file; the scope takes it away. */
export const otherHost: Effect.Effect<OtherHost, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync((): OtherHost => {
    try {
      setUp()
    } catch (error) {
      tearDown()
      throw error
    }
    return {
      here,
      there,
      run: (file, ...args) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const child = spawn(
              "ip",
              ["netns", "exec", names.namespace, process.execPath, `${import.meta.dirname}/${file}`, ...args],
              { stdio: ["ignore", "pipe", "inherit"] }
            )
            const lines: Array<string> = []
            createInterface({ input: child.stdout }).on("line", (line) => lines.push(line))
            return { child, lines }
          }),
          ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
        ).pipe(
          Effect.tap(({ lines }) => until(`${file} is ready`, () => lines.length > 0)),
          Effect.map(({ lines }) => lines)
        ),
      // Without its address it takes no packet in and sends none that its peers would take.
      vanish: Effect.sync(() => void ip("-n", names.namespace, "addr", "del", `${there}/30`, "dev", names.inside)),
      appear: Effect.sync(() => void ip("-n", names.namespace, "addr", "add", `${there}/30`, "dev", names.inside))
    }
  }),
  () => Effect.sync(tearDown)
)
