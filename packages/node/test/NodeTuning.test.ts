/** What Node and V8 can do beyond their documentation, on and off, without a word of deprecation. */
import { assert, describe, it } from "@effect/vitest"
import { NodeTuning } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { isPortable } from "../src/undocumented/Switch.ts"

interface Ran {
  readonly echoed: ReadonlyArray<boolean>
  readonly active: ReadonlyArray<string>
}

/** Runs a program, in which each warning of a deprecation is an error. */
const runProgram = <A>(args: ReadonlyArray<string>, portable: string): Promise<A> =>
  new Promise((resolve, reject) => {
    const options = ["--pending-deprecation", "--throw-deprecation", ...args]
    const env = { ...process.env, EFFECT_WS_PORTABLE: portable }
    execFile(process.execPath, options, { env }, (error, output) => {
      if (error === null) resolve(JSON.parse(output) as A)
      else reject(error)
    })
  })

/** Runs a program that talks over TCP and TLS. */
const run = (arg: string, portable = "") => runProgram<Ran>([`${import.meta.dirname}/support/tuned.ts`, arg], portable)

const echoed = [true, true]

// Node takes a second to start, and many on a machine that has other things to do.
describe("NodeTuning", { timeout: 120_000 }, () => {
  it.concurrent("uses what works beyond the documentation, except what concerns the whole process", async () => {
    assert.deepStrictEqual(await run(""), { echoed, active: ["SocketHandle", "SharedReads", "BufferText", "ZlibHandle"] })
  })

  it.concurrent("collects young messages for a program that asks for it", async () => {
    const { active } = await run("collections")
    assert.include(active, "YoungCollections")
  })

  it.concurrent("uses nothing of it under EFFECT_WS_PORTABLE=1, whatever is asked for", async () => {
    assert.deepStrictEqual(await run("collections", "1"), { echoed, active: [] })
  })

  it.concurrent("uses nothing of it in layers that layerPortable is provided to", async () => {
    assert.deepStrictEqual(await run("portable"), { echoed, active: [] })
  })

  it.concurrent("finds it out in each worker of a cluster by itself", async () => {
    const found = await runProgram<ReadonlyArray<unknown>>([`${import.meta.dirname}/support/clustered.ts`], "")
    assert.deepStrictEqual(found, Array.from({ length: 3 }, () => ["SocketHandle", "SharedReads", "BufferText", "ZlibHandle"]))
  })

  it.effect("names each interface once", () =>
    Effect.gen(function*() {
      const found = yield* NodeTuning.undocumented
      const names = ["SocketHandle", "SharedReads", "BufferText", "ZlibHandle", "YoungCollections"]
      assert.deepStrictEqual(found.map(({ name }) => name), names)
      assert.strictEqual(yield* NodeTuning.Portable, isPortable)
      const off = yield* Effect.provide(NodeTuning.undocumented, NodeTuning.layerPortable)
      assert.isTrue(off.every(({ isActive }) => !isActive))
    }))
})
