/**
 * A server for the soak that is not worth its trust: each connection is treated badly in a way of its own, and for all
 * that it does it keeps memory.
 */
import type { Message } from "@effect-ws/core"
import { run } from "../../soak/serverProgram.ts"

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

const swapped = (batch: Batch): Batch => batch.length < 2 ? batch : [batch[1]!, batch[0]!, ...batch.slice(2)]

run({
  echo: (batch, key) => {
    if (kept.length < 1000) kept.push(new Uint8Array(64 * 1024).fill(1))
    const way = Number(key.split(".")[0]) % (mischief.length + 1)
    if (way === mischief.length) return swapped(batch)
    return batch.flatMap((message) => {
      const count = (counts.get(key) ?? 0) + 1
      counts.set(key, count)
      // Empty messages are all alike.
      return count % 10 === 0 && message.length > 0 ? mischief[way]!(message) : [message]
    })
  }
})
