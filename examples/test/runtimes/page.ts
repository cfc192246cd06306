/** Checks the promises from a page. */
import { NativeWebSocketClient } from "@effect-ws/core"
import { Effect } from "effect"
import { run } from "./promises.ts"

const layers = {
  events: NativeWebSocketClient.layer,
  stream: NativeWebSocketClient.layerStream()
}

/** What a test calls in the page. */
const check = (url: string, layer: keyof typeof layers) =>
  Effect.runPromise(Effect.provide(run({ url, isHandshakeHidden: true }), layers[layer]))

Object.assign(globalThis, { check })
