/**
 * Plays the script of one side after the handshake, and compares the messages of the other side with the recording.
 */
import type * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import type { ConnectionWatch } from "../inspect/ConnectionWatch.ts"
import type { Side } from "../inspect/Observation.ts"
import { type Heard, heardOf, isSame, type Script } from "./Script.ts"

export interface PlayOptions {
  /** 1 is the pace of the recording. Without it only messages of the other side are waited for. */
  readonly speed: number | undefined
  /** How long the other side may take, in milliseconds. */
  readonly patience: number
}

export interface Outcome {
  readonly sentBytes: number
  readonly heard: ReadonlyArray<Heard>
  /** The differences from the recording, in words. */
  readonly differences: ReadonlyArray<string>
}

const show = (heard: Heard | undefined): string => {
  if (heard === undefined) return "nothing"
  if (heard._tag === "Close") {
    return heard.payload.length < 2 ? "a Close frame" : `a Close frame with ${(heard.payload[0]! << 8) | heard.payload[1]!}`
  }
  const { message } = heard
  if (typeof message !== "string") return `binary of ${message.length} bytes`
  return JSON.stringify(message.length > 60 ? `${message.slice(0, 60)}…` : message)
}

const differences = (script: Script, heard: ReadonlyArray<Heard>): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (let index = 0; index < Math.max(script.heard.length, heard.length); index++) {
    const [before, now] = [script.heard[index], heard[index]]
    if (before !== undefined && now !== undefined && isSame(before, now)) continue
    found.push(`message ${index + 1}: ${show(before)} in the recording, ${show(now)} now`)
  }
  return found
}

/** `watch` has seen the heads; `early` are the bytes that arrived together with the other side's head. */
export const play = async (
  socket: Net.Socket,
  watch: ConnectionWatch,
  script: Script,
  other: Side,
  early: Uint8Array,
  { patience, speed }: PlayOptions
): Promise<Outcome> => {
  const heard: Array<Heard> = []
  let isEnded = false
  let wake = (): void => {}
  const take = (bytes: Uint8Array) => {
    for (const { what } of watch.bytes(other, bytes)) {
      const one = heardOf(what)
      if (one !== undefined) heard.push(one)
    }
    wake()
  }
  socket.on("data", take)
  for (const event of ["end", "close"]) {
    socket.on(event, () => {
      isEnded = true
      wake()
    })
  }
  socket.on("error", () => undefined)
  if (early.length > 0) take(early)
  socket.resume()

  const until = async (condition: () => boolean): Promise<boolean> => {
    const deadline = performance.now() + patience
    while (!condition()) {
      const left = deadline - performance.now()
      if (left <= 0) return false
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return true
  }

  const began = performance.now()
  let sentBytes = 0
  let isInTime = true
  for (const { act, after, at } of script.steps) {
    if (speed !== undefined) await sleep(Math.max(0, at / speed - (performance.now() - began)))
    isInTime = await until(() => heard.length >= after || isEnded)
    if (!isInTime) break
    if (act._tag === "Send") {
      if (socket.writable) socket.write(act.bytes)
      sentBytes += act.bytes.length
    } else if (act.how === "ended TCP" || act.how === "closed") {
      socket.end()
    } else {
      socket.destroy()
    }
  }
  if (isInTime) await until(() => heard.length >= script.heard.length || isEnded)
  // A message that arrives later is missing.
  const inTime = [...heard]
  socket.end()
  await until(() => isEnded)
  socket.destroy()
  return { sentBytes, heard: inTime, differences: differences(script, inTime) }
}
