/** What the messages of the load generator carry, and what the measured server has to answer. */
import { randomBytes } from "node:crypto"

/**
 * - `binary`, `ascii`, `unicode`: comes back as it is.
 * - `json`: a text that compresses as real messages do, comes back as it is.
 * - `order`: a JSON document that the server parses, changes and sends back: see {@link answerTo}.
 * - `call`: a request of Effect RPC as its `ndjson` serialization writes it.
 * - `ack`: the same as an event of socket.io that wants an acknowledgement.
 */
export type Content = "binary" | "ascii" | "unicode" | "json" | "order" | "call" | "ack"

/** One message and its answer. */
export interface Exchange {
  readonly sent: Buffer
  readonly expected: Buffer
}

const alphabets = {
  ascii: "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789",
  unicode: "aäßжЩ語界日本€한🦊🎉z"
}

const text = (characters: string, size: number): string => {
  const all = [...characters]
  const picks = randomBytes(size)
  let made = ""
  for (let i = 0, left = size; left > 0; i++) {
    const next = all[picks[i]! % all.length]!
    const length = Buffer.byteLength(next)
    // The size is met exactly, with the last characters of one byte.
    made += length <= left ? next : "."
    left -= length <= left ? length : 1
  }
  return made
}

/** Repetitive as real messages are: random letters would hardly compress. */
const json = (size: number): string => {
  let made = "["
  for (let i = 0; made.length < size; i++) {
    const price = Number((Math.random() * 1000).toFixed(2))
    made += `${JSON.stringify({ id: i, price, symbol: "EFCT", side: i % 2 === 0 ? "buy" : "sell" })},`
  }
  return made.slice(0, size)
}

interface Order {
  readonly id: number
  readonly symbol: string
  readonly side: "buy" | "sell"
  readonly price: number
  readonly quantity: number
  readonly note: string
}

const order = (index: number, size: number): Order => {
  const quantity = 1 + (randomBytes(1)[0]! % 100)
  const price = 100 + quantity / 4
  const bare: Order = { id: 1_000_000 + index, symbol: "EFCT", side: "buy", price, quantity, note: "" }
  return { ...bare, note: text(alphabets.unicode, Math.max(0, size - JSON.stringify(bare).length)) }
}

/** What every peer does with an order. */
const answerTo = (given: Order) => ({ ...given, state: "accepted", total: given.price * given.quantity })

const call = (index: number, size: number): Exchange => {
  const id = String(index)
  const given = order(index, size)
  const request = { _tag: "Request", id, tag: "Place", payload: given, headers: [] }
  const response = { _tag: "Exit", requestId: id, exit: { _tag: "Success", value: answerTo(given) } }
  return {
    sent: Buffer.from(`${JSON.stringify(request)}\n`),
    expected: Buffer.from(`${JSON.stringify(response)}\n`)
  }
}

const ack = (index: number, size: number): Exchange => {
  const given = order(index, size)
  return {
    sent: Buffer.from(`42${index}${JSON.stringify(["place", given])}`),
    expected: Buffer.from(`43${index}${JSON.stringify([answerTo(given)])}`)
  }
}

/** The message with that index of a connection: each has contents of its own, so that one in another's place is seen. */
export const exchange = (content: Content, index: number, size: number): Exchange => {
  if (content === "call") return call(index, size)
  if (content === "ack") return ack(index, size)
  if (content === "order") {
    const given = order(index, size)
    return { sent: Buffer.from(JSON.stringify(given)), expected: Buffer.from(JSON.stringify(answerTo(given))) }
  }
  const bytes = content === "binary"
    ? randomBytes(size)
    : Buffer.from(content === "json" ? json(size) : text(alphabets[content], size))
  return { sent: bytes, expected: bytes }
}
