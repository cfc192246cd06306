/** Checks the promises from a page. */
import { NativeWebSocketClient } from "@effect-ws/core"
import { Effect } from "effect"
import { run } from "./promises.ts"

const layers = {
  events: NativeWebSocketClient.layer,
  stream: NativeWebSocketClient.layerStream()
}

const check = (url: string, layer: keyof typeof layers) =>
  Effect.runPromise(Effect.provide(run({ url, isHandshakeHidden: true }), layers[layer]))

declare global {
  interface Window {
    readonly check: typeof check
  }
}

Object.assign(window, { check })
