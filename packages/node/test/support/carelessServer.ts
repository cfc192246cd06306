/**
 * A server for the soak that is not worth its trust: each connection is treated badly in a way of its own, and for all
 * that it does it keeps memory.
 */
import type { Message } from "@effect-ws/core"
import { run } from "../../../../soak/serverProgram.ts"

type Batch = ReadonlyArray<Message.Message>

const kept: Array<Uint8Array> = []
const counts = new Map<string, number>()

const altered = (message: Message.Message): Message.Message => {
  if (typeof message === "string") return `${message.slice(0, -1)}\u{2603}`
  const copy = Uint8Array.from(message)
  copy[copy.length - 1]! ^= 1
  return copy
}

const mischief: ReadonlyArray<(message: Message.Message) => Batch> = [
  () => [],
  (message) => [message, message],
  (message) => [altered(message)]
]

const heldBack = new Map<string, Message.Message>()

run({
  echo: (batch, key) => {
    if (kept.length < 300) kept.push(new Uint8Array(256 * 1024).fill(1))
    const way = Number(key.split(".")[0]) % (mischief.length + 1)
    return batch.flatMap((message) => {
      const held = heldBack.get(key)
      heldBack.delete(key)
      const count = (counts.get(key) ?? 0) + 1
      counts.set(key, count)
      // Empty messages are all alike.
      if (count % 5 > 0 || message.length === 0) return held === undefined ? [message] : [message, held]
      if (way < mischief.length) return mischief[way]!(message)
      heldBack.set(key, message)
      return held === undefined ? [] : [held]
    })
  }
})
